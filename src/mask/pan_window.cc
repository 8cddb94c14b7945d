#include "mask/pan_window.h"

#include <algorithm>
#include <array>
#include <map>
#include <string>

namespace sallyport::mask {
namespace {

bool IsDigit(char c) { return c >= '0' && c <= '9'; }
bool IsLetter(char c) { return (c | 0x20) >= 'a' && (c | 0x20) <= 'z'; }

constexpr char kNoGap = '\0';     // the groups do not belong together
constexpr char kLetterGap = 'L';  // one letter other than x

/// What stands between two digit groups.
char GapBetween(const std::vector<Symbol>& s, const DigitGroup& a, const DigitGroup& b) {
  const uint32_t n = b.first - a.last;
  if (n == 0 || n > 4) return kNoGap;
  char kind = kNoGap;
  for (uint32_t i = a.last; i < b.first; i++) {
    char c = s[i].c;
    if (c == '\r') c = '\n';
    if (IsLetter(c)) {
      if (n != 1) return kNoGap;
      return (c | 0x20) == 'x' ? 'x' : kLetterGap;
    }
    switch (c) {
      case ' ':
        if (kind == kNoGap) kind = ' ';
        break;
      case '-':
      case '.':
      case '\t':
      case '_':
      case '/':
      case '*':
      case ',':
      case '|':
      case ':':
      case '+':
      case '~':
      case ';':
      case '\n':
      case kTag:
        if (kind != kNoGap && kind != ' ' && kind != c) return kNoGap;
        kind = c;
        break;
      default:
        return kNoGap;
    }
  }
  if (n > 1 && kind == '.') return kNoGap;  // ". " ends a sentence
  if (n > 3 && kind != '\n') return kNoGap;
  return kind;
}

bool IsPlain(char gap) { return gap == ' ' || gap == '-'; }

/// A candidate: groups i…j with their lengths and gaps.
struct Candidate {
  std::array<uint8_t, 20> lengths;
  std::array<char, 20> gaps;  // gaps[k] before lengths[k], k >= 1
  int count = 0;
  bool exact = false;  // no neighbour group is joined by a gap of the same kind
  int total = 0;
};

bool AllOf(const Candidate& c, int from, int to, int size) {
  for (int k = from; k < to; k++) {
    if (c.lengths[k] != size) return false;
  }
  return true;
}

/// Groups as they are embossed and printed.
bool CardShape(const Candidate& c) {
  const auto& l = c.lengths;
  const int k = c.count;
  if (k >= 4 && k <= 5 && AllOf(c, 0, k - 1, 4) && l[k - 1] <= 4) return true;
  if (k == 3 && AllOf(c, 0, 3, 4)) return true;
  if (k == 3 && l[0] == 4 && l[1] == 6 && (l[2] == 5 || l[2] == 4)) return true;
  return false;
}
/// Groups that people make: halves, BIN and rest.
bool HandShape(const Candidate& c) {
  const auto& l = c.lengths;
  if (c.count == 2) return l[0] >= 4 && l[1] >= 2;
  if (c.count == 3) {
    return (l[0] == 6 && l[1] == 6) || (l[0] == 4 && l[1] == 8) || (l[0] == 8 && l[1] == 4) ||
           (l[0] == 4 && l[1] == 4 && l[2] == 8) || (l[0] == 5 && l[1] == 5) ||
           (l[0] == 8 && l[1] == 8) || (l[0] == 6 && l[1] == 4) || (l[0] == 4 && l[1] == 7);
  }
  if (c.count == 4) return (l[0] == 4 && l[1] == 4 && l[2] == 4) || AllOf(c, 0, 3, 5);
  return false;
}

enum class Shape { none, contiguous, card, hand, ones, pairs, triples };

Shape ShapeOf(const Candidate& c) {
  if (c.count == 1) return Shape::contiguous;
  if (CardShape(c)) return Shape::card;
  if (HandShape(c)) return Shape::hand;
  if (AllOf(c, 0, c.count, 1)) return Shape::ones;
  if (AllOf(c, 0, c.count - 1, 2) && c.lengths[c.count - 1] <= 2) return Shape::pairs;
  if (c.lengths[0] <= 3 && AllOf(c, 1, c.count, 3)) return Shape::triples;
  if (AllOf(c, 0, c.count - 1, 3) && c.lengths[c.count - 1] <= 3) return Shape::triples;
  return Shape::none;
}

struct Rule {
  bool ok = false, need_context = false;
  int score = 0;
};

/// Whether groups of this shape with these gaps may be one number, and on what condition.
Rule RuleFor(const Candidate& c, bool whole) {
  const Shape shape = ShapeOf(c);
  if (shape == Shape::none) return {};
  if (shape == Shape::contiguous) return {true, false, 100};
  bool plain = true, uniform = true, lines = false, tags = false, generic = false;
  int dots = 0;
  for (int k = 1; k < c.count; k++) {
    const char g = c.gaps[k];
    plain &= IsPlain(g);
    uniform &= g == c.gaps[1];
    dots += g == '.';
    lines |= g == '\n' || g == '\t';
    tags |= g == kTag;
    generic |= !IsPlain(g) && g != '.' && g != '\n' && g != '\t' && g != kTag;
  }
  const char g = c.gaps[1];
  const bool free = c.exact || whole;
  switch (shape) {
    case Shape::card:
      if (plain) return {true, false, c.exact ? 95 : 90};
      if (generic) {
        if (!uniform || !c.exact || g == kLetterGap) return {};
        const bool list = g == ',' || g == '|' || g == ':' || g == ';';
        return {true, list, 80};
      }
      if (lines) return {true, !free, 85};
      if (tags) return {true, !free, 85};
      if (dots == c.count - 1) return {true, !c.exact, 88};
      return {true, dots > 1 || !free, 84};
    case Shape::hand:
      if (plain && uniform) return {true, !free, 70};
      if (plain || ((lines || tags || dots > 0) && uniform && c.exact)) return {true, true, 60};
      return {};
    case Shape::ones:
      if (!uniform || !c.exact) return {};
      return {true, !(whole && IsPlain(g)), 75};
    case Shape::pairs:
      return {uniform && c.exact && (plain || dots > 0), true, 50};
    case Shape::triples:
      return {uniform && c.exact && (plain || g == ',' || g == '.'), true, 50};
    default:
      return {};
  }
}

/// A line break inside a group: 4111 1111 11⏎11 1111. Joins the groups at the one line break.
bool JoinAtLineBreak(const Candidate& c, Candidate& joined) {
  int at = 0, breaks = 0;
  for (int k = 1; k < c.count; k++) {
    if (c.gaps[k] == '\n') at = k, breaks++;
  }
  if (breaks != 1) return false;
  joined = c;
  joined.lengths[at - 1] = uint8_t(c.lengths[at - 1] + c.lengths[at]);
  for (int k = at; k + 1 < c.count; k++) {
    joined.lengths[k] = c.lengths[k + 1];
    joined.gaps[k] = c.gaps[k + 1];
  }
  joined.count--;
  return true;
}

/// "0.4111111111111111": the window is the fraction of a decimal number.
bool IsFraction(const std::vector<Symbol>& s, uint32_t first) {
  return first >= 2 && s[first - 1].c == '.' && IsDigit(s[first - 2].c);
}

void TryWindow(const FoldedText& f, const std::vector<DigitGroup>& groups, size_t i, size_t j,
               Candidate& c, std::vector<PanWindow>& found) {
  const auto& s = f.symbols;
  PanWindow w;
  w.first = groups[i].first, w.last = groups[j].last;
  uint8_t digits[24];
  const int n = DigitsOf(s, w.first, w.last, digits);
  if (!(kLengthsOfPrefix4[digits[0] * 1000 + digits[1] * 100 + digits[2] * 10 + digits[3]] >>
            (n - 12) &
        1))
    return;
  if (!LuhnOk(digits, n) && !(digits[0] == 6 || digits[0] == 8)) return;
  const bool whole = IsWholeText(f.text, s[w.first].begin, s[w.last - 1].end);
  Rule rule = RuleFor(c, whole);
  if (!rule.ok) {
    Candidate joined;
    if (!JoinAtLineBreak(c, joined)) return;
    rule = RuleFor(joined, whole);
    if (!rule.ok) return;
    rule.need_context |= joined.count == 1 || !(c.exact || whole);
    rule.score = 40;
  }
  if (IsFraction(s, w.first)) return;
  w.evidence = c.count == 1 ? kContiguous : kGrouped;
  w.score = rule.score;
  if (Judge(f, w, rule.need_context)) found.push_back(w);
}

/// Windows of the chain that starts at group i.
void WindowsFrom(const FoldedText& f, const std::vector<DigitGroup>& groups,
                 const std::vector<char>& gaps, size_t i, std::vector<PanWindow>& found) {
  {  // most numbers do not begin like a card number
    const uint32_t first = groups[i].first;
    uint32_t prefix = 0, n = 0;
    for (uint32_t k = first; n < 4 && k < f.symbols.size() && k < first + 16; k++) {
      const char d = f.symbols[k].c;
      if (IsDigit(d)) prefix = prefix * 10 + uint32_t(d - '0'), n++;
    }
    if (n < 4 || kLengthsOfPrefix4[prefix] == 0) return;
  }
  Candidate c;
  for (size_t j = i; j < groups.size() && c.count < 19; j++) {
    if (j > i && gaps[j] == kNoGap) break;
    const uint32_t size = groups[j].size();
    if (c.total + size > 19) break;
    c.lengths[c.count] = uint8_t(size);
    c.gaps[c.count] = j > i ? gaps[j] : kNoGap;
    c.count++;
    c.total += int(size);
    if (c.total < 12) continue;
    const auto joins = [&](size_t k) {  // does the gap before group k continue this candidate?
      if (k == 0 || k >= groups.size() || gaps[k] == kNoGap) return false;
      for (int g = 1; g < c.count; g++) {
        if (c.gaps[g] == gaps[k]) return true;
      }
      return false;
    };
    c.exact = !joins(i) && !joins(j + 1);
    TryWindow(f, groups, i, j, c, found);
  }
}

/// Digits inside a right-to-left override are read backwards.
void FindReversed(const FoldedText& f, const DigitGroup& g, std::vector<PanWindow>& found) {
  const auto& s = f.symbols;
  const uint32_t n = g.size();
  if (n < 12 || n > 19) return;
  bool rtl = true;
  for (uint32_t i = g.first; i < g.last; i++) rtl &= (s[i].flags & kRtlFlag) != 0;
  if (!rtl) {
    const size_t begin = s[g.first].begin, from = begin > 40 ? begin - 40 : 0;
    std::string near(f.text.substr(from, begin - from));
    for (char& c : near) c = c >= 'A' && c <= 'Z' ? char(c | 0x20) : c;
    if (near.find("backward") == near.npos && near.find("revers") == near.npos &&
        near.find("invert") == near.npos && near.find("r\u00fcckw") == near.npos &&
        near.find("mirror") == near.npos) {
      return;
    }
  }
  uint8_t digits[24];
  DigitsOf(s, g.first, g.last, digits);
  std::reverse(digits, digits + n);
  const auto match = LookUpIin(digits, int(n));
  if (!match || !LuhnOk(digits, int(n))) return;
  PanWindow w;
  w.first = g.first, w.last = g.last;
  w.begin = s[g.first].begin, w.end = s[g.last - 1].end;
  w.match = *match;
  w.evidence = kLuhn | kIin | kContiguous | kFolded;
  w.score = 30;
  found.push_back(w);
}

/// 4111111111111110+1: the sum is the number.
void FindSum(const FoldedText& f, const std::vector<DigitGroup>& groups, size_t g,
             std::vector<PanWindow>& found) {
  const auto& s = f.symbols;
  if (g + 1 >= groups.size() || groups[g].size() < 13 || groups[g].size() > 19 ||
      groups[g + 1].size() > 2)
    return;
  uint32_t op = groups[g].last;
  while (op < groups[g + 1].first && s[op].c == ' ') op++;
  if (s[op].c != '+' || groups[g + 1].first > op + 2) return;
  uint8_t digits[24];
  const int n = DigitsOf(s, groups[g].first, groups[g].last, digits);
  uint8_t addend[24];
  const int m = DigitsOf(s, groups[g + 1].first, groups[g + 1].last, addend);
  for (int i = 0, carry = 0; i < n; i++) {
    const int v = digits[n - 1 - i] + (i < m ? addend[m - 1 - i] : 0) + carry;
    digits[n - 1 - i] = uint8_t(v % 10), carry = v / 10;
  }
  const auto match = LookUpIin(digits, n);
  if (!match || match->trust != Trust::strong || !LuhnOk(digits, n)) return;
  PanWindow w;
  w.first = groups[g].first, w.last = groups[g + 1].last;
  w.begin = s[w.first].begin, w.end = s[w.last - 1].end;
  w.match = *match;
  w.evidence = kLuhn | kIin | kFolded;
  w.score = 20;
  found.push_back(w);
}

}  // namespace

std::vector<DigitGroup> DigitGroups(const std::vector<Symbol>& s) {
  std::vector<DigitGroup> groups;
  for (uint32_t i = 0; i < s.size();) {
    if (!IsDigit(s[i].c)) {
      i++;
      continue;
    }
    const uint32_t first = i;
    while (i < s.size() && IsDigit(s[i].c)) i++;
    groups.push_back({first, i});
  }
  return groups;
}

int DigitsOf(const std::vector<Symbol>& s, uint32_t first, uint32_t last, uint8_t* digits) {
  int n = 0;
  for (uint32_t i = first; i < last && n < 24; i++) {
    if (IsDigit(s[i].c)) digits[n++] = uint8_t(s[i].c - '0');
  }
  return n;
}

bool IsWholeText(std::string_view text, size_t begin, size_t end) {
  constexpr size_t kMost = 64;  // white space around it
  if (begin > kMost || text.size() - end > kMost) return false;
  const auto blank = [](char c) {
    return c == ' ' || c == '\n' || c == '\t' || c == '\r' || c == '"' || c == '\'';
  };
  return std::ranges::all_of(text.substr(0, begin), blank) &&
         std::ranges::all_of(text.substr(end), blank);
}

bool Judge(const FoldedText& f, PanWindow& w, bool need_context) {
  uint8_t digits[24];
  const int n = DigitsOf(f.symbols, w.first, w.last, digits);
  if (n < 12 || n > 19) return false;
  const auto match = LookUpIin(digits, n);
  if (!match) return false;
  bool same = true;
  for (int i = 1; i < n; i++) same &= digits[i] == digits[0];
  if (same) return false;
  const bool luhn = LuhnOk(digits, n);
  if (!luhn && !match->luhn_optional) return false;
  w.begin = f.symbols[w.first].begin;
  w.end = f.symbols[w.last - 1].end;
  w.match = *match;
  const bool structured = w.evidence & kStructure;
  if (!structured && InsideOtherToken(f.text, w.begin, w.end)) return false;
  const WordEvidence words = WordsAround(f.text, w.begin, w.end);
  const bool card = words.card || f.hint == HintClass::card || f.hint == HintClass::track ||
                    f.context.card_object;
  if (!luhn && !words.unionpay) return false;
  if (!luhn && n < 16) return false;
  if (words.other_number && f.hint != HintClass::card) return false;
  if (f.hint == HintClass::other_number && !words.card) return false;
  if ((need_context || f.lookalike) && !card) return false;
  const bool soft = !card && (words.identifier || f.hint == HintClass::identifier);
  if (!structured) {
    switch (match->trust) {
      case Trust::strong:
        break;
      case Trust::medium:
        if (soft) return false;
        break;
      case Trust::weak:
        if (!card && (soft || !IsWholeText(f.text, w.begin, w.end))) return false;
        break;
      case Trust::context:
        if (!card && (soft || !f.context.hint.empty() || !IsWholeText(f.text, w.begin, w.end)))
          return false;
        break;
    }
  }
  w.evidence |= kIin | (luhn ? kLuhn : 0u) | (card ? kContext : 0u);
  for (uint32_t i = w.first; i < w.last; i++) {
    if (f.symbols[i].flags & kFoldedFlag ||
        (i > w.first && f.symbols[i].begin != f.symbols[i - 1].end)) {
      w.evidence |= kFolded;
      break;
    }
  }
  return true;
}

void FindPanWindows(const FoldedText& f, std::vector<PanWindow>& windows) {
  const std::vector<DigitGroup> groups = DigitGroups(f.symbols);
  if (groups.empty()) return;
  std::vector<char> gaps(groups.size(), kNoGap);
  for (size_t i = 1; i < groups.size(); i++)
    gaps[i] = GapBetween(f.symbols, groups[i - 1], groups[i]);
  std::vector<PanWindow> found;
  for (size_t i = 0; i < groups.size(); i++) {
    WindowsFrom(f, groups, gaps, i, found);
    FindStructured(f, groups, i, found);
    FindReversed(f, groups[i], found);
    FindSum(f, groups, i, found);
  }
  if (found.empty()) return;
  std::ranges::sort(found, [](const PanWindow& a, const PanWindow& b) {
    return a.score != b.score   ? a.score > b.score
           : a.first != b.first ? a.first < b.first
                                : a.last > b.last;
  });
  std::map<uint32_t, PanWindow> kept;  // by first symbol; no two overlap
  for (const PanWindow& w : found) {
    const auto after = kept.lower_bound(w.first);
    if (after != kept.end() && after->second.first < w.last) continue;
    if (after != kept.begin() && std::prev(after)->second.last > w.first) continue;
    kept.emplace(w.first, w);
  }
  for (const auto& [first, w] : kept) windows.push_back(w);
}

}  // namespace sallyport::mask
