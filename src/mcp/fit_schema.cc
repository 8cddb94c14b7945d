#include "mcp/fit_schema.h"

#include <algorithm>
#include <map>
#include <optional>
#include <vector>

#include "json/document.h"
#include "mcp/json_edit.h"

namespace sallyport::mcp {
namespace {

using json::Value;

constexpr size_t kMaxRounds = 64;
constexpr size_t kMaxSteps = 300'000;  // of all rounds
constexpr json::Limits kLimits{.max_bytes = 64u << 20, .max_nodes = 1u << 22};

enum class Form : uint8_t { masked, null, stars, digits, none };

/// A value that was masked.
struct Leaf {
  std::string pointer;  // below structuredContent
  std::string shape;    // the pointer with `*` for every index: values of one column share a form
  Value before, after;
};

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

/// Asterisks, as many as the text has characters.
std::string Stars(std::string_view text) {
  const auto n =
      std::ranges::count_if(text, [](char c) { return (static_cast<uint8_t>(c) & 0xc0) != 0x80; });
  return std::string(static_cast<size_t>(n), '*');
}

/// The text with the digits of a surrogate in place of its own, if it is a card number and nothing
/// else.
std::optional<std::string> SurrogateDigits(const mask::Masker& masker, std::string_view text) {
  std::string digits;
  for (const char c : text) {
    if (IsDigit(c))
      digits += c;
    else if (c != ' ' && c != '-' && c != '.')
      return std::nullopt;
  }
  const std::string array = '[' + digits + ']';
  std::string out;
  mask::Tally tally;
  const auto changed =
      masker.MaskJson(array, {.numbers = mask::NumberPolicy::surrogate}, out, tally);
  if (!changed || !*changed || out.size() != array.size()) return std::nullopt;
  std::string put(text);
  size_t next = 1;
  for (char& c : put) {
    if (IsDigit(c)) c = out[next++];
  }
  std::vector<mask::Finding> findings;
  masker.FindText(put, {}, findings);
  if (!findings.empty()) return std::nullopt;
  return put;
}

/// The value's text in a form; nullopt if it has none.
std::optional<std::string> InForm(const mask::Masker& masker, const Leaf& leaf, Form form) {
  const auto text = leaf.before.string();
  switch (form) {
    case Form::masked:
      return std::string(leaf.after.raw());
    case Form::null:
      return "null";
    case Form::stars:
      if (!text) return std::nullopt;
      return json::Quote(Stars(*text));
    case Form::digits: {
      const auto digits = SurrogateDigits(masker, text ? *text : leaf.before.raw());
      if (!digits) return std::nullopt;
      return text ? json::Quote(*digits) : *digits;
    }
    case Form::none:
      break;
  }
  return std::nullopt;
}

class Fitting {
 public:
  Fitting(const mask::Masker& masker, const SchemaCheck& schema)
      : masker_(masker), schema_(schema) {}

  /// False if the two are not the same but for leaves.
  bool Compare(Value before, Value after, const std::string& at, const std::string& shape) {
    const bool members = before.is(json::Kind::object);
    if (!members && !before.is(json::Kind::array)) {
      if (before.raw() != after.raw()) {
        changed_.insert(at);
        leaves_.push_back({at, shape, before, after});
      }
      return true;
    }
    if (before.raw() == after.raw()) return true;
    if (before.kind() != after.kind() || before.size() != after.size()) return false;
    Value b = before.first(), a = after.first();
    for (size_t index = 0; b; b = b.next(), a = a.next(), ++index) {
      if (members && b.key() != a.key()) changed_.insert(at);
      const bool fine = members ? Compare(b, a, Pointer(at, a.key()), Pointer(shape, a.key()))
                                : Compare(b, a, at + '/' + std::to_string(index), shape + "/*");
      if (!fine) return false;
    }
    return true;
  }

  bool untouched() const { return changed_.empty(); }

  /// The text of structuredContent in which every value has a form that the schema takes.
  std::optional<std::string> Fit(Value after) {
    for (size_t round = 0; round < kMaxRounds; ++round) {
      const std::string text = Text(after);
      const auto doc = json::Document::Parse(text, kLimits);
      if (!doc) return std::nullopt;
      const auto verdict = schema_.Check(doc->root(), changed_, steps_);
      if (verdict.kind == SchemaCheck::Verdict::Kind::fits) return text;
      if (!Advance(verdict.pointer)) return std::nullopt;
    }
    return std::nullopt;
  }

 private:
  std::string Text(Value after) const {
    JsonEdit edit(after.raw());
    const size_t base = after.offset();
    for (const Leaf& leaf : leaves_) {
      const auto form = forms_.find(leaf.shape);
      if (form == forms_.end()) continue;
      if (auto put = InForm(masker_, leaf, form->second))
        edit.Replace(leaf.after.offset() - base, leaf.after.raw().size(), std::move(*put));
    }
    return edit.Apply();
  }

  /// Another form for what stands at or below the place where the schema was not kept.
  bool Advance(const std::string& where) {
    std::vector<std::string> shapes;
    for (const Leaf& leaf : leaves_) {
      const bool there = leaf.pointer.starts_with(where) &&
                         (leaf.pointer.size() == where.size() || leaf.pointer[where.size()] == '/');
      if (there) shapes.push_back(leaf.shape);
    }
    std::ranges::sort(shapes);
    shapes.erase(std::ranges::unique(shapes).begin(), shapes.end());
    bool any = false;
    for (const std::string& shape : shapes) {
      Form& form = forms_.try_emplace(shape, Form::masked).first->second;
      if (form == Form::none) continue;
      form = static_cast<Form>(static_cast<uint8_t>(form) + 1);
      any = any || form != Form::none;
    }
    return any;
  }

  const mask::Masker& masker_;
  const SchemaCheck& schema_;
  size_t steps_ = kMaxSteps;
  std::set<std::string> changed_;
  std::vector<Leaf> leaves_;
  std::map<std::string, Form> forms_;  // by shape
};

}  // namespace

Result<std::string> FitToSchema(const mask::Masker& masker, const SchemaCheck& schema,
                                std::string_view original, std::string masked,
                                std::string_view below) {
  const auto before = json::Document::Parse(original, kLimits);
  const auto after = json::Document::Parse(masked, kLimits);
  if (!before || !after) return Fail(Errc::mask_failed, "the masked message cannot be read");
  const auto content = [&](const json::Document& doc) {
    return (below.empty() ? doc.root() : doc.root()[below.substr(1)])["structuredContent"];
  };
  const Value theirs = content(*before), ours = content(*after);
  if (!theirs) return masked;
  Fitting fitting(masker, schema);
  if (!ours || !fitting.Compare(theirs, ours, "", ""))
    return Fail(Errc::mask_failed, "the masked message has another structure");
  if (fitting.untouched()) return masked;
  auto text = fitting.Fit(ours);
  if (!text) return Fail(Errc::mask_failed, "no masked value fits the output schema of the tool");
  JsonEdit edit(masked);
  edit.Replace(ours, std::move(*text));
  return edit.Apply();
}

}  // namespace sallyport::mcp
