#include "mask/json_mask.h"

#include <algorithm>
#include <map>
#include <set>

#include "mask/evidence_words.h"
#include "mask/join.h"
#include "mask/json_scan.h"
#include "mask/json_tree.h"
#include "mask/number_text.h"
#include "mask/render.h"
#include "mask/scan.h"
#include "mask/sensitive.h"

namespace sallyport::mask {
namespace {

bool IsDigit(char c) { return c >= '0' && c <= '9'; }
bool AllDigits(std::string_view s) { return !s.empty() && std::ranges::all_of(s, IsDigit); }

class JsonFinder {
 public:
  JsonFinder(const Masker::Impl& impl, std::string_view json, const JsonOptions& options, int depth,
             int string_depth, Found& found, Tally* tally, bool direct)
      : impl_(impl),
        json_(json),
        options_(options),
        depth_(depth),
        string_depth_(string_depth),
        found_(found),
        tally_(tally),
        direct_(direct || !impl.regexes.empty()) {}

  Result<void> Run() {
    if (!tree_.Scan(json_, options_.max_depth)) {
      return Fail(Errc::mask_failed, "not a JSON text, or nested too deep");
    }
    card_.assign(nodes_.size(), false);
    for (const std::string& pattern : options_.keep) tree_.Keep(pattern);
    for (uint32_t i = 0; i < nodes_.size(); i++) Leaf(i);
    for (uint32_t i = 0; i < nodes_.size(); i++) {
      if (tree_.kept(i) || nodes_[i].next - i < 3) continue;
      if (nodes_[i].type == JsonType::array) JoinArray(i);
      if (nodes_[i].type == JsonType::object) JoinObject(i);
    }
    WeakCodes();
    std::ranges::sort(found_.findings, {}, &Finding::begin);
    return {};
  }

 private:
  NumberPolicy PolicyOf(uint32_t i) const {
    if (options_.number_rules.empty()) return options_.numbers;
    const std::string pointer = tree_.Pointer(i);
    for (const auto& [pattern, policy] : options_.number_rules) {
      if (PointerMatches(pattern, pointer)) return policy;
    }
    return options_.numbers;
  }

  // ---- edits

  void Count(uint32_t node, const Found& found) {
    if (tally_) AddToTally(found, tree_.Pointer(node), *tally_);
    found_.blocked |= found.blocked;
    for (const Finding& f : found.findings) MarkCard(node, f.kind);
  }
  void MarkCard(uint32_t node, DetectorKind kind) {
    if (kind != DetectorKind::regex) card_[node] = true;
  }

  /// Takes what was found in the content of a string token over to the token's own bytes.
  void TakeString(size_t token_begin, const JsonString& s, Found& inner) {
    for (Finding f : inner.findings) {
      f.begin = token_begin + s.Source(f.begin), f.end = token_begin + s.Source(f.end);
      found_.findings.push_back(f);
    }
    NormalizeEdits(inner.edits);
    for (const Edit& e : inner.edits) {
      found_.edits.push_back(
          {token_begin + s.Source(e.begin), token_begin + s.Source(e.end), EscapeJson(e.text)});
    }
  }

  void RemoveSad(uint32_t i, uint32_t evidence) {
    if (!impl_.sad || removed_.contains(i)) return;
    removed_.insert(i);
    const JsonNode& n = nodes_[i];
    Found one;
    one.findings.push_back({n.begin, n.end, impl_.sad->name, DetectorKind::sad, "", evidence});
    one.blocked = impl_.sad->action == Action::block;
    Count(i, one);
    found_.findings.push_back(one.findings[0]);
    found_.edits.push_back({n.begin, n.end, Replacement(i, std::string(kSadRemoved), "0")});
  }
  /// What stands for a masked value: numbers become what their place allows.
  std::string Replacement(uint32_t i, const std::string& text, const std::string& number) const {
    if (nodes_[i].type == JsonType::string) return '"' + EscapeJson(text) + '"';
    switch (PolicyOf(i)) {
      case NumberPolicy::null:
        return "null";
      case NumberPolicy::surrogate:
        return number;
      case NumberPolicy::string:
        break;
    }
    return '"' + EscapeJson(text) + '"';
  }

  // ---- leaves

  void Leaf(uint32_t i) {
    const JsonNode& n = nodes_[i];
    if (n.has_key() && !tree_.kept(i)) Key(i);
    if (tree_.kept(i)) return;
    if (n.type == JsonType::string) String(i);
    if (n.type == JsonType::number) Number(i);
  }

  void Key(uint32_t i) {
    const JsonNode& n = nodes_[i];
    if (n.key_end - n.key_begin < 14 || !direct_) return;
    const std::string_view raw = json_.substr(n.key_begin, n.key_end - n.key_begin);
    if (impl_.regexes.empty() && !MayHoldCardData(raw)) return;
    const JsonString key = DecodeJsonString(json_.substr(n.key_begin, n.key_end - n.key_begin));
    Found inner;
    FindAll(impl_, key.text, Context{}, depth_, inner);
    if (inner.Empty()) return;
    tree_.HideKey(i);
    if (tally_) AddToTally(inner, tree_.Pointer(i), *tally_);
    found_.blocked |= inner.blocked;
    // Two members must not end up with one name.
    NormalizeEdits(inner.edits);
    std::string name = ApplyEdits(key.text, inner.edits);
    auto& names = key_names_[n.parent];
    for (int k = 2; !names.insert(name).second; k++)
      name = ApplyEdits(key.text, inner.edits) + "~" + std::to_string(k);
    for (Finding f : inner.findings) {
      f.begin = n.key_begin + key.Source(f.begin), f.end = n.key_begin + key.Source(f.end);
      found_.findings.push_back(f);
    }
    found_.edits.push_back({n.key_begin, n.key_end, '"' + EscapeJson(name) + '"'});
  }

  void String(uint32_t i) {
    const JsonNode& n = nodes_[i];
    if (n.end - n.begin < 5 || !Worth(tree_.Token(i))) return;
    const JsonString s = DecodeJsonString(tree_.Token(i));
    const std::string key = tree_.KeyOf(i);
    const HintClass hint = ClassifyHint(key);
    if (hint == HintClass::card_code && (s.text.size() == 3 || s.text.size() == 4) &&
        AllDigits(s.text)) {
      return RemoveSad(i, kCardCode);
    }
    if (hint == HintClass::pin_block && s.text.size() >= 16 && s.text.size() <= 34 &&
        s.text.find(' ') == std::string::npos) {
      return RemoveSad(i, kPin);
    }
    Found inner;
    if (!InnerJson(s, inner)) {
      Context context;
      context.hint = key;
      FindAll(impl_, s.text, context, depth_, inner);
      if (inner.Empty()) return;
      Count(i, inner);
    }
    TakeString(n.begin, s, inner);
  }

  /// A first look at the raw token: a value of the size of a code or PIN block, JSON, or something
  /// that the scan of raw text would stop at.
  bool Worth(std::string_view token) const {
    if (!impl_.regexes.empty()) return true;
    const size_t n = token.size() - 2;
    if (n == 3 || n == 4) return IsDigit(token[1]) || token[1] == '\\';
    bool direct;
    const size_t start = token.find_first_not_of(" \\nrt", 1);
    if (start != std::string_view::npos && (token[start] == '{' || token[start] == '[')) {
      return MayHoldCardDataInJson(token, direct);
    }
    if (!direct_) return false;
    if (n >= 16 && n <= 34 && token.find(' ') == std::string_view::npos)
      return true;  // its key decides
    return MayHoldCardData(token);
  }

  /// JSON in a string is looked into as JSON; its findings count at the string's place.
  bool InnerJson(const JsonString& s, Found& inner) {
    if (string_depth_ >= int(options_.max_string_depth)) return false;
    const size_t start = s.text.find_first_not_of(" \t\r\n");
    if (start == std::string::npos || (s.text[start] != '{' && s.text[start] != '[')) return false;
    JsonOptions options;
    options.max_depth = options_.max_depth;
    options.max_string_depth = options_.max_string_depth;
    if (!FindInJson(impl_, s.text, options, depth_, string_depth_ + 1, inner, tally_)) {
      inner = {};
      return false;
    }
    found_.blocked |= inner.blocked;
    return true;
  }

  void Number(uint32_t i) {
    const std::string_view token = tree_.Token(i);
    if (!direct_) return;
    if ((token.size() == 3 || token.size() == 4) && AllDigits(token) &&
        ClassifyHint(tree_.KeyOf(i)) == HintClass::card_code) {
      return RemoveSad(i, kCardCode);
    }
    if (token.size() < 12) return;
    const std::string key = tree_.KeyOf(i);
    const std::string digits = IntegerDigits(token);
    if (digits.size() < 12 || digits.size() > 40) return;
    Context context;
    context.hint = key;
    Found inner;
    FindAll(impl_, digits, context, kNoDecoding, inner);
    if (inner.Empty()) return;
    const JsonNode& n = nodes_[i];
    for (Finding& f : inner.findings) {
      f.begin = n.begin, f.end = n.end;
      found_.findings.push_back(f);
    }
    Count(i, inner);
    NormalizeEdits(inner.edits);
    found_.edits.push_back(
        {n.begin, n.end,
         Replacement(i, ApplyEdits(digits, inner.edits), NumericSurrogate(impl_, digits))});
  }

  // ---- values side by side

  /// Whether Piece() may give something, at a glance.
  bool IsPiece(uint32_t i) const {
    const JsonNode& n = nodes_[i];
    const size_t size = n.end - n.begin;
    if (n.type == JsonType::number) return size <= 15;
    if (n.type != JsonType::string || size < 3 || size > 120) return false;
    const char c = json_[n.begin + 1];
    return IsDigit(c) || c == '\\';
  }
  /// The digits of a value that is digits only.
  std::string Piece(uint32_t i) const {
    if (tree_.kept(i)) return {};
    const std::string_view t = tree_.Token(i);
    if (nodes_[i].type == JsonType::number && AllDigits(t) && t.size() <= 15) return std::string(t);
    if (nodes_[i].type != JsonType::string || t.size() > 120) return {};
    std::string text = DecodeJsonString(t).text;
    return AllDigits(text) && text.size() <= 15 ? text : std::string();
  }

  void TakeJoined(const std::vector<uint32_t>& at, const std::vector<std::string>& pieces,
                  const IinMatch& match) {
    if (!impl_.pan) return;
    const Render render = impl_.pan->render == Render::token ? Render::full : impl_.pan->render;
    const std::vector<std::string> hidden = HidePieces(pieces, render);
    Found one;
    one.findings.push_back({nodes_[at.front()].begin, nodes_[at.back()].end, impl_.pan->name,
                            DetectorKind::pan, match.network, uint32_t(kLuhn | kIin | kJoined)});
    one.blocked = impl_.pan->action == Action::block;
    Count(at.front(), one);
    found_.findings.push_back(one.findings[0]);
    for (size_t k = 0; k < at.size(); k++) {
      card_[at[k]] = true;
      if (hidden[k] == pieces[k]) continue;
      found_.edits.push_back(
          {nodes_[at[k]].begin, nodes_[at[k]].end, Replacement(at[k], hidden[k], "0")});
    }
  }

  void JoinArray(uint32_t array) {
    if (nodes_[array + 1].next >= nodes_[array].next) return;  // one element
    std::vector<uint32_t> at;
    std::vector<std::string> pieces;
    bool objects = true;
    for (uint32_t k = array + 1; k < nodes_[array].next; k = nodes_[k].next) {
      objects &= nodes_[k].type == JsonType::object || nodes_[k].type == JsonType::string;
      at.push_back(k);
    }
    if (at.size() >= 2 && at.size() <= 19) {
      for (uint32_t k : at) {
        pieces.push_back(Piece(k));
        if (pieces.back().empty()) break;
      }
      if (pieces.size() == at.size() && !pieces.back().empty()) {
        const HintClass hint = ClassifyHint(tree_.KeyOf(at[0]));
        const bool card = hint == HintClass::card;
        if (hint != HintClass::other_number && hint != HintClass::identifier) {
          if (const auto match = JoinedNumber(pieces, card)) return TakeJoined(at, pieces, *match);
        }
      }
    }
    if (objects) JoinTexts(at);
  }

  void JoinObject(uint32_t object) {
    bool pair = false;  // two neighbours that are digits
    for (uint32_t k = object + 1, last = 0; k < nodes_[object].next && !pair; k = nodes_[k].next) {
      const bool piece = IsPiece(k);
      pair = piece && last;
      last = piece;
    }
    if (!pair) return;
    std::vector<uint32_t> at;
    for (uint32_t k = object + 1; k < nodes_[object].next; k = nodes_[k].next) at.push_back(k);
    for (size_t i = 0; i + 1 < at.size(); i++) {
      std::vector<uint32_t> run;
      std::vector<std::string> pieces;
      std::string key;
      bool card = false;
      size_t best = 0;
      std::optional<IinMatch> match;
      for (size_t j = i; j < at.size() && j < i + 19; j++) {
        std::string piece = Piece(at[j]);
        if (piece.empty()) break;
        const std::string k = tree_.KeyOf(at[j]);
        if (j > i && !RelatedKeys(key, k)) break;
        key = k;
        card |= ClassifyHint(k) == HintClass::card;
        run.push_back(at[j]);
        pieces.push_back(std::move(piece));
        if (const auto m = JoinedNumber(pieces, card)) match = m, best = run.size();
      }
      if (!match) continue;
      run.resize(best);
      pieces.resize(best);
      TakeJoined(run, pieces, *match);
      i += best - 1;
    }
  }

  /// Content items: the same member of objects that follow each other, or strings of one array.
  void JoinTexts(const std::vector<uint32_t>& elements) {
    std::map<std::string, std::vector<uint32_t>> columns;
    for (uint32_t e : elements) {
      if (tree_.kept(e)) continue;
      if (nodes_[e].type == JsonType::string && TouchesAnEdge(e)) columns[""].push_back(e);
      if (nodes_[e].type != JsonType::object) continue;
      for (uint32_t k = e + 1; k < nodes_[e].next; k++) {
        if (nodes_[k].type == JsonType::string && nodes_[k].has_key() && !tree_.kept(k) &&
            TouchesAnEdge(k)) {
          columns[tree_.KeyOf(k)].push_back(k);
        }
      }
    }
    for (auto& [key, leaves] : columns) {
      if (leaves.size() < 2 || key == "type") continue;
      std::vector<JsonString> strings;
      for (uint32_t leaf : leaves) strings.push_back(DecodeJsonString(tree_.Token(leaf)));
      for (size_t i = 0; i < leaves.size();) {
        size_t j = i;
        while (j + 1 < leaves.size() && Touches(strings[j].text, strings[j + 1].text)) j++;
        if (j > i) Chain(leaves, strings, i, j);
        i = j + 1;
      }
    }
  }
  /// A digit near the beginning or the end of the raw token.
  bool TouchesAnEdge(uint32_t i) const {
    const std::string_view t = tree_.Token(i);
    const auto digit = [](std::string_view s) { return std::ranges::any_of(s, IsDigit); };
    return t.size() > 2 &&
           (digit(t.substr(1, 9)) || digit(t.substr(t.size() - std::min<size_t>(t.size(), 10))));
  }
  static bool Touches(std::string_view a, std::string_view b) {
    const auto edge = [](char c) { return IsDigit(c) || c == ' ' || c == '-'; };
    if (a.empty() || b.empty() || !edge(a.back()) || !edge(b.front())) return false;
    const auto digit_near = [](std::string_view s) {
      return s.find_first_of("0123456789") != std::string_view::npos;
    };
    return digit_near(a.substr(a.size() - std::min<size_t>(a.size(), 3))) &&
           digit_near(b.substr(0, 3));
  }
  void Chain(const std::vector<uint32_t>& leaves, const std::vector<JsonString>& strings, size_t i,
             size_t j) {
    std::vector<std::string_view> texts;
    bool strict = false;
    for (size_t k = i; k <= j; k++) {
      texts.push_back(strings[k].text);
      strict |= strings[k].text.size() > 1;
    }
    std::vector<std::vector<Edit>> edits;
    std::vector<Crossing> crossings;
    FindAcross(impl_, texts, Context{}, strict, edits, crossings);
    for (const Crossing& c : crossings) {
      const JsonNode& a = nodes_[leaves[i + c.first]];
      const JsonNode& b = nodes_[leaves[i + c.last]];
      Found one;
      Finding f = c.finding;
      f.begin = a.begin + strings[i + c.first].Source(f.begin);
      f.end = b.begin + strings[i + c.last].Source(f.end);
      one.findings.push_back(f);
      Count(leaves[i + c.first], one);
      found_.findings.push_back(f);
    }
    for (size_t k = 0; k < edits.size(); k++) {
      Found one;
      one.edits = std::move(edits[k]);
      TakeString(nodes_[leaves[i + k]].begin, strings[i + k], one);
    }
  }

  /// "pin", "cid", "security code" beside a card number of the same object.
  void WeakCodes() {
    for (uint32_t i = 0; i < nodes_.size(); i++) {
      const JsonNode& n = nodes_[i];
      if (tree_.kept(i) || !n.has_key() || n.parent < 0) continue;
      const std::string_view t = tree_.Token(i);
      if (t.size() < 3 || t.size() > 8 ||
          (n.type != JsonType::string && n.type != JsonType::number))
        continue;
      const std::string_view body = n.type == JsonType::string ? t.substr(1, t.size() - 2) : t;
      if (!AllDigits(body) || body.size() < 3 || body.size() > 6) continue;
      const std::string key = tree_.KeyOf(i);
      if (ClassifyHint(key) != HintClass::weak_code) continue;
      const bool pin = key.find("in") != std::string::npos || key.find("IN") != std::string::npos;
      if (pin ? body.size() < 4 : body.size() > 4) continue;
      const uint32_t parent = uint32_t(n.parent);
      for (uint32_t k = parent + 1; k < nodes_[parent].next; k++) {
        if (card_[k] && k != i) {
          RemoveSad(i, pin ? kPin : kCardCode);
          break;
        }
      }
    }
  }

  static constexpr int kNoDecoding = 99;

  const Masker::Impl& impl_;
  std::string_view json_;
  const JsonOptions& options_;
  int depth_, string_depth_;
  Found& found_;
  Tally* tally_;
  bool direct_;
  JsonTree tree_;
  const std::vector<JsonNode>& nodes_ = tree_.nodes();
  std::vector<bool> card_;
  std::set<uint32_t> removed_;
  std::map<int32_t, std::set<std::string>> key_names_;
};

}  // namespace

Result<void> FindInJson(const Masker::Impl& impl, std::string_view json, const JsonOptions& options,
                        int depth, int string_depth, Found& found, Tally* tally, bool direct) {
  return JsonFinder(impl, json, options, depth, string_depth, found, tally, direct).Run();
}

}  // namespace sallyport::mask
