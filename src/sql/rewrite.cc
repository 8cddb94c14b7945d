#include "sql/rewrite.h"

#include <algorithm>
#include <map>
#include <optional>
#include <unordered_set>
#include <utility>

#include "sql/lexer.h"
#include "sql/mask_expression.h"

namespace sallyport::sql {
namespace {

using Place = Mention::Place;

std::unexpected<Error> NoWay(std::string detail) {
  return Fail(Errc::sql_not_maskable, std::move(detail));
}

/// Finds tokens by the bytes at which they begin.
class Tokens {
 public:
  explicit Tokens(std::string_view text) : text_(text) { whole_ = Tokenize(text, all_, plain_); }

  bool whole() const { return whole_; }
  std::optional<size_t> At(size_t begin) const {
    auto at = std::ranges::lower_bound(all_, begin, {}, &Token::begin);
    if (at == all_.end() || at->begin != begin) return std::nullopt;
    return static_cast<size_t>(at - all_.begin());
  }
  bool Is(size_t i, std::string_view text) const {
    return i < all_.size() && text_.substr(all_[i].begin, all_[i].end - all_[i].begin) == text;
  }
  bool IsWord(size_t i, std::string_view upper) const {
    if (i >= all_.size() || all_[i].kind != Token::Kind::word) return false;
    auto word = text_.substr(all_[i].begin, all_[i].end - all_[i].begin);
    return std::ranges::equal(word, upper, [](char a, char b) { return (a & ~0x20) == b; });
  }
  bool IsName(size_t i) const {
    return i < all_.size() &&
           (all_[i].kind == Token::Kind::word || all_[i].kind == Token::Kind::quoted);
  }
  /// The last token of the dotted name that begins at `i`; none where it is no such name.
  std::optional<size_t> NameEnd(size_t i) const {
    if (!IsName(i)) return std::nullopt;
    while (Is(i + 1, ".") && IsName(i + 2)) i += 2;
    return i;
  }
  const Token& operator[](size_t i) const { return all_[i]; }

 private:
  std::string_view text_;
  std::vector<Token> all_;
  bool whole_ = false, plain_ = false;
};

class Planner {
 public:
  explicit Planner(std::string_view text) : tokens_(text) {}

  Result<> Add(const Reading& reading);
  Result<std::vector<Splice>> Finish();

 private:
  Result<> Relation(const Use& use);
  Result<> Copied(const Use& use, size_t first, size_t last);
  Result<> Qualifiers(const Qualified& reference, const Use& use);
  Result<> Reference(const Use& use, const Mention& mention);
  Result<> ReturnedStar(const Reading& reading, const Use& use, const Mention& mention);
  void Put(size_t begin, size_t end, std::string text, bool generated) {
    splices_.push_back({begin, end, std::move(text), generated});
  }

  Tokens tokens_;
  std::vector<Splice> splices_;
};

/// Whether a use has to keep its relation, because something of it is asked that a sub-select does
/// not have.
bool KeepsRelation(const Use& use) { return use.sampled || use.system || use.grouped; }

/// Every mention of `use` is a reference that can be replaced by itself.
bool AllReferences(const Reading& reading, uint32_t use) {
  return std::ranges::all_of(reading.mentions, [&](const Mention& m) {
    return m.use != use || (m.column >= 0 && m.certain && !m.star && m.location != 0);
  });
}

Result<> Planner::Relation(const Use& use) {
  auto at = tokens_.At(use.location);
  auto last = at ? tokens_.NameEnd(*at) : std::nullopt;
  if (!last) return NoWay("the name of a relation is written in a way that is not followed");
  size_t first = *at;
  if (use.copied) return Copied(use, first, *last);
  if (use.only) {
    if (first >= 1 && tokens_.IsWord(first - 1, "ONLY")) {
      --first;
    } else if (first >= 2 && tokens_.Is(first - 1, "(") && tokens_.IsWord(first - 2, "ONLY") &&
               tokens_.Is(*last + 1, ")")) {
      first -= 2;
      ++*last;
    } else {
      return NoWay("ONLY is written in a way that is not followed");
    }
  } else if (tokens_.Is(*last + 1, "*")) {
    ++*last;
  }
  std::string text = MaskedRelation(*use.relation, use.only);
  bool table = first >= 1 && tokens_.IsWord(first - 1, "TABLE");
  if (table) {
    --first;
    text = "SELECT * FROM " + text;
  }
  if (!use.aliased) text += " AS " + QuoteIdentifier(use.alias);
  // Words must not grow together with what stands beside them.
  Put(tokens_[first].begin, tokens_[*last].end, " " + text + " ", true);
  return {};
}

Result<> Planner::Copied(const Use& use, size_t first, size_t last) {
  if (tokens_.Is(last + 1, "(")) {
    while (!tokens_.Is(last, ")")) ++last;  // a list of names, as the grammar has read it
  }
  if (use.copies.empty()) return NoWay("there is nothing to copy");
  // COPY of a relation leaves out the rows of its children.
  bool only = use.relation->kind != 'p';
  Put(tokens_[first].begin, tokens_[last].end,
      " " + MaskedRelation(*use.relation, only, &use.copies) + " ", true);
  return {};
}

Result<> Planner::Qualifiers(const Qualified& reference, const Use& use) {
  auto at = tokens_.At(reference.location);
  size_t last = at ? *at + 2 * (reference.qualifiers - 1) : 0;
  if (!at || !tokens_.IsName(*at) || !tokens_.IsName(last))
    return NoWay("the name of a column is written in a way that is not followed");
  Put(tokens_[*at].begin, tokens_[last].end, QuoteIdentifier(use.alias), false);
  return {};
}

Result<> Planner::Reference(const Use& use, const Mention& mention) {
  auto at = tokens_.At(mention.location);
  auto last = at ? tokens_.NameEnd(*at) : std::nullopt;
  if (!last || !mention.certain || mention.column < 0)
    return NoWay("a reference to a classified column that could mean several things");
  const auto& column = use.relation->columns[static_cast<size_t>(mention.column)];
  auto name = QuoteIdentifier(column.name);
  std::string text = "(" + MaskExpression(column, QuoteIdentifier(use.alias) + "." + name) + ")";
  if (mention.unnamed) text += " AS " + name;
  Put(tokens_[*at].begin, tokens_[*last].end, " " + text + " ", true);
  return {};
}

Result<> Planner::ReturnedStar(const Reading& reading, const Use& use, const Mention& mention) {
  auto at = tokens_.At(mention.location);
  if (!at || mention.place != Place::returning ||
      std::ranges::find(reading.returning_stars, mention.location) != reading.returning_stars.end())
    return NoWay("RETURNING * over several relations: name the columns instead");
  size_t last = *at;
  if (!tokens_.Is(last, "*")) {
    auto name = tokens_.NameEnd(last);
    if (!name || !tokens_.Is(*name + 1, ".") || !tokens_.Is(*name + 2, "*"))
      return NoWay("RETURNING is written in a way that is not followed");
    last = *name + 2;
  }
  std::string text;
  auto alias = QuoteIdentifier(use.alias) + ".";
  for (const auto& column : use.relation->columns) {
    if (!text.empty()) text += ", ";
    auto name = QuoteIdentifier(column.name);
    text += column.classified() ? "(" + MaskExpression(column, alias + name) + ") AS " + name
                                : alias + name;
  }
  Put(tokens_[*at].begin, tokens_[last].end, " " + text + " ", true);
  return {};
}

Result<> Planner::Add(const Reading& reading) {
  if (!tokens_.whole()) return NoWay("the text is written in a way that is not followed");
  for (uint32_t i = 0; i < reading.uses.size(); ++i) {
    const auto& use = reading.uses[i];
    if (!use.relation || !use.relation->classified) continue;
    bool mentioned =
        std::ranges::any_of(reading.mentions, [&](const Mention& m) { return m.use == i; });
    if (!mentioned && !reading.unknown_names) continue;
    bool target = use.role == Use::Role::target;
    bool one_by_one = target || (KeepsRelation(use) && !reading.unknown_names);
    if (one_by_one && !target && !AllReferences(reading, i)) {
      if (use.sampled || use.system)
        return NoWay(
            "TABLESAMPLE and system columns need the classified columns to be named one by one");
      one_by_one = false;
    }
    if (use.sampled && !one_by_one)
      return NoWay("TABLESAMPLE of a relation with classified columns");
    if (!one_by_one) {
      SALLYPORT_CHECK(Relation(use));
      if (use.aliased) continue;
      std::unordered_set<size_t> done;
      for (const auto& reference : reading.qualified) {
        if (reference.use == i && done.insert(reference.location).second)
          SALLYPORT_CHECK(Qualifiers(reference, use));
      }
      continue;
    }
    std::unordered_set<size_t> done;
    for (const auto& mention : reading.mentions) {
      if (mention.use != i || !done.insert(mention.location).second) continue;
      SALLYPORT_CHECK(mention.star ? ReturnedStar(reading, use, mention) : Reference(use, mention));
    }
  }
  return {};
}

Result<std::vector<Splice>> Planner::Finish() {
  std::ranges::sort(splices_, {}, &Splice::begin);
  for (size_t i = 1; i < splices_.size(); ++i) {
    if (splices_[i].begin < splices_[i - 1].end)
      return NoWay("two parts of the text would have to change at one place");
  }
  if (splices_.empty()) return NoWay("nothing of the text could be exchanged");
  return std::move(splices_);
}

}  // namespace

Result<std::vector<Splice>> PlanSplices(std::string_view text,
                                        const std::vector<const Reading*>& readings) {
  Planner planner(text);
  for (const auto* reading : readings) SALLYPORT_CHECK(planner.Add(*reading));
  return planner.Finish();
}

std::string ApplySplices(std::string_view text, const std::vector<Splice>& splices,
                         std::vector<Span>& generated) {
  std::string out;
  size_t added = 0;
  for (const auto& splice : splices) added += splice.text.size();
  out.reserve(text.size() + added);
  size_t at = 0;
  for (const auto& splice : splices) {
    out += text.substr(at, splice.begin - at);
    if (splice.generated) generated.push_back({out.size(), out.size() + splice.text.size()});
    out += splice.text;
    at = splice.end;
  }
  return out += text.substr(at);
}

}  // namespace sallyport::sql
