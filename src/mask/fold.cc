#include "mask/fold.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <optional>

namespace sallyport::mask {
namespace {

// The zeros of Unicode's decimal digits (general category Nd, Unicode 15), in order; nine more
// digits follow.
constexpr char32_t kZeros[] = {
    0x0660,  0x06f0,  0x07c0,  0x0966,  0x09e6,  0x0a66,  0x0ae6,  0x0b66,  0x0be6,  0x0c66,
    0x0ce6,  0x0d66,  0x0de6,  0x0e50,  0x0ed0,  0x0f20,  0x1040,  0x1090,  0x17e0,  0x1810,
    0x1946,  0x19d0,  0x1a80,  0x1a90,  0x1b50,  0x1bb0,  0x1c40,  0x1c50,  0xa620,  0xa8d0,
    0xa900,  0xa9d0,  0xa9f0,  0xaa50,  0xabf0,  0xff10,  0x104a0, 0x10d30, 0x11066, 0x110f0,
    0x11136, 0x111d0, 0x112f0, 0x11450, 0x114d0, 0x11650, 0x116c0, 0x11730, 0x118e0, 0x11950,
    0x11c50, 0x11d50, 0x11da0, 0x16a60, 0x16ac0, 0x16b50, 0x1d7ce, 0x1d7d8, 0x1d7e2, 0x1d7ec,
    0x1d7f6, 0x1e140, 0x1e2f0, 0x1e950, 0x1fbf0};

struct Span {
  char32_t lo, hi;
  char first;  // the character of `lo`; digits count on from it, others stay
};
// Digits of other kinds (category No), in enclosures and indices.
constexpr Span kOtherDigits[] = {
    {0x00b2, 0x00b3, '2'},   {0x00b9, 0x00b9, '1'},  {0x2070, 0x2070, '0'}, {0x2074, 0x2079, '4'},
    {0x2080, 0x2089, '0'},   {0x2460, 0x2468, '1'},  {0x2474, 0x247c, '1'}, {0x2488, 0x2490, '1'},
    {0x24ea, 0x24ea, '0'},   {0x24f5, 0x24fd, '1'},  {0x24ff, 0x24ff, '0'}, {0x2776, 0x277e, '1'},
    {0x2780, 0x2788, '1'},   {0x278a, 0x2792, '1'},  {0x3007, 0x3007, '0'}, {0x1f100, 0x1f100, '0'},
    {0x1f101, 0x1f10a, '0'}, {0x1f10b, 0x1f10c, '0'}};
constexpr Span kSeparators[] = {
    {0x00a0, 0x00a0, ' '}, {0x00a6, 0x00a6, '|'},  {0x00b7, 0x00b7, '_'}, {0x058a, 0x058a, '-'},
    {0x1680, 0x1680, ' '}, {0x2000, 0x200a, ' '},  {0x2010, 0x2015, '-'}, {0x2022, 0x2022, '_'},
    {0x2027, 0x2027, '_'}, {0x2028, 0x2029, '\n'}, {0x202f, 0x202f, ' '}, {0x2043, 0x2043, '-'},
    {0x2044, 0x2044, '/'}, {0x205f, 0x205f, ' '},  {0x2212, 0x2212, '-'}, {0x2215, 0x2215, '/'},
    {0x2219, 0x2219, '_'}, {0x22c5, 0x22c5, '_'},  {0x2e3a, 0x2e3b, '-'}, {0x3000, 0x3000, ' '},
    {0x301c, 0x301c, '-'}, {0x30fb, 0x30fb, '_'},  {0xfe31, 0xfe32, '-'}, {0xfe58, 0xfe58, '-'},
    {0xfe63, 0xfe63, '-'}, {0xff0b, 0xff0b, '+'},  {0xff0c, 0xff0c, ','}, {0xff0d, 0xff0d, '-'},
    {0xff0e, 0xff0e, '.'}, {0xff0f, 0xff0f, '/'},  {0xff1a, 0xff1a, ':'}, {0xff3f, 0xff3f, '_'},
    {0xff5c, 0xff5c, '|'}, {0xff65, 0xff65, '_'}};
// Format characters, combining marks, variation selectors and tags.
constexpr Span kUnseen[] = {
    {0x00ad, 0x00ad, 0}, {0x0300, 0x036f, 0}, {0x0483, 0x0489, 0},   {0x061c, 0x061c, 0},
    {0x0591, 0x05bd, 0}, {0x064b, 0x065f, 0}, {0x115f, 0x1160, 0},   {0x180b, 0x180f, 0},
    {0x1ab0, 0x1aff, 0}, {0x1dc0, 0x1dff, 0}, {0x200b, 0x200f, 0},   {0x202a, 0x202e, 0},
    {0x2060, 0x206f, 0}, {0x20d0, 0x20ff, 0}, {0xfe00, 0xfe0f, 0},   {0xfe20, 0xfe2f, 0},
    {0xfeff, 0xfeff, 0}, {0xfff9, 0xfffb, 0}, {0xe0000, 0xe007f, 0}, {0xe0100, 0xe01ef, 0}};

template <size_t N>
const Span* FindSpan(const Span (&spans)[N], char32_t cp) {
  const Span* at = std::upper_bound(std::begin(spans), std::end(spans), cp,
                                    [](char32_t v, const Span& s) { return v < s.lo; });
  if (at == std::begin(spans) || cp > at[-1].hi) return nullptr;
  return at - 1;
}

int HexValue(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  c = char(c | 0x20);
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/// Folds one spelling after another into symbols. Each Take… looks at one kind of escape at `i`,
/// and returns the index after it, or `i` when it is not there.
class Folder {
 public:
  Folder(std::string_view text, std::vector<Symbol>& out) : text_(text), out_(out) {}

  void Run(size_t from, size_t to) {
    out_.reserve(out_.size() + (to - from));
    size_t i = from;
    while (i < to) {
      const unsigned char c = static_cast<unsigned char>(text_[i]);
      if (c >= 0x80) {
        i = TakeUtf8(i);
        continue;
      }
      size_t next = i;
      switch (c) {
        case '%':
          next = TakePercent(i);
          break;
        case '&':
          next = TakeEntity(i);
          break;
        case '\\':
          next = TakeBackslash(i);
          break;
        case '=':
          next = TakeQuotedPrintable(i);
          break;
        case '<':
          next = TakeTag(i);
          break;
        case 0x1b:
          next = TakeTerminal(i);
          break;
        default:
          break;
      }
      if (next == i) {
        next = i + 1;
        if (c >= 0x20 || c == '\t' || c == '\n' || c == '\r') {
          Push(i, next, char(c == 0x7f ? kOther : c), 0);
        }
      }
      i = next;
    }
  }

 private:
  char At(size_t i) const { return i < text_.size() ? text_[i] : '\0'; }

  void Push(size_t begin, size_t end, char c, uint8_t flags) {
    out_.push_back({uint32_t(begin), uint32_t(end), c, uint8_t(flags | (rtl_ ? kRtlFlag : 0))});
  }
  void PushCodePoint(size_t begin, size_t end, char32_t cp) {
    if (cp == 0x202e) rtl_ = true;
    if (cp == 0x202c || cp == 0x2069) rtl_ = false;
    const char c = FoldCodePoint(cp);
    if (c != 0) Push(begin, end, c, kFoldedFlag);
  }

  size_t TakeUtf8(size_t i) {
    char32_t cp;
    const int n = DecodeUtf8(text_, i, cp);
    PushCodePoint(i, i + size_t(n), cp);
    return i + size_t(n);
  }

  std::optional<uint8_t> Hex2(size_t i) const {
    const int a = HexValue(At(i)), b = a < 0 ? -1 : HexValue(At(i + 1));
    if (b < 0) return std::nullopt;
    return uint8_t(a * 16 + b);
  }

  // %34, and UTF-8 spelled as %EF%BC%94.
  size_t TakePercent(size_t i) {
    const auto first = Hex2(i + 1);
    if (!first) return i;
    char bytes[4] = {char(*first)};
    const int want = *first < 0x80    ? 1
                     : *first >= 0xf0 ? 4
                     : *first >= 0xe0 ? 3
                     : *first >= 0xc2 ? 2
                                      : 1;
    size_t end = i + 3;
    int n = 1;
    for (; n < want && At(end) == '%'; n++, end += 3) {
      const auto b = Hex2(end + 1);
      if (!b) break;
      bytes[n] = char(*b);
    }
    char32_t cp;
    if (DecodeUtf8({bytes, size_t(n)}, 0, cp) != n || cp == 0xfffd) return i;
    // A lone "%34" may be LIKE '%34…': a digit counts in company only, of the rest only separators.
    const char c = FoldCodePoint(cp);
    if (cp < 0x80 && c >= '0' && c <= '9') {
      const bool company = percent_end_ == i || (At(end) == '%' && Hex2(end + 1));
      if (!company) return i;
    } else if (cp < 0x80 && (c == 0 || !std::strchr(" -.,/_+\t\n\r:;|*", c))) {
      return i;
    }
    percent_end_ = end;
    PushCodePoint(i, end, cp);
    return end;
  }

  // &#52; &#x34; &nbsp; and the other names of spaces and dashes.
  size_t TakeEntity(size_t i) {
    size_t j = i + 1;
    if (At(j) == '#') {
      const bool hex = (At(++j) | 0x20) == 'x';
      if (hex) j++;
      char32_t cp = 0;
      const size_t start = j;
      for (; j < start + 8; j++) {
        const int v = HexValue(At(j));
        if (v < 0 || (!hex && v > 9)) break;
        cp = cp * (hex ? 16 : 10) + char32_t(v);
        if (cp > 0x10ffff) return i;
      }
      if (j == start) return i;
      if (At(j) == ';') j++;
      PushCodePoint(i, j, cp);
      return j;
    }
    struct Name {
      std::string_view name;
      char32_t cp;
    };
    static constexpr Name kNames[] = {
        {"nbsp;", 0xa0},    {"ensp;", 0x2002},   {"emsp;", 0x2003},           {"thinsp;", 0x2009},
        {"numsp;", 0x2007}, {"hairsp;", 0x200a}, {"ndash;", 0x2013},          {"mdash;", 0x2014},
        {"minus;", 0x2212}, {"hyphen;", 0x2010}, {"dash;", 0x2010},           {"shy;", 0xad},
        {"zwj;", 0x200d},   {"zwnj;", 0x200c},   {"middot;", 0xb7},           {"bull;", 0x2022},
        {"lrm;", 0x200e},   {"rlm;", 0x200f},    {"ZeroWidthSpace;", 0x200b}, {"NoBreak;", 0x2060},
        {"period;", '.'},   {"Tab;", '\t'},      {"NewLine;", '\n'},          {"sol;", '/'}};
    for (const Name& n : kNames) {
      if (!text_.substr(j).starts_with(n.name)) continue;
      PushCodePoint(i, j + n.name.size(), n.cp);
      return j + n.name.size();
    }
    return i;
  }

  // \x34 \u0034 \u{34} \064 \n \/ and a backslash at the end of a line.
  size_t TakeBackslash(size_t i) {
    const char c = At(i + 1);
    if (c == '\n') return i + 2;
    if (c == '\r' && At(i + 2) == '\n') return i + 3;
    if (c == 'n' || c == 'r' || c == 't') {
      Push(i, i + 2, c == 't' ? '\t' : '\n', kFoldedFlag);
      return i + 2;
    }
    if (c == '/') {
      Push(i, i + 2, '/', kFoldedFlag);
      return i + 2;
    }
    if (c == 'x') {
      const auto v = Hex2(i + 2);
      if (!v || *v >= 0x80) return i;
      PushCodePoint(i, i + 4, *v);
      return i + 4;
    }
    if (c == 'u') return TakeBackslashU(i);
    if (c >= '0' && c <= '1' && At(i + 2) >= '0' && At(i + 2) <= '7' && At(i + 3) >= '0' &&
        At(i + 3) <= '7') {
      PushCodePoint(i, i + 4, char32_t((c - '0') * 64 + (At(i + 2) - '0') * 8 + (At(i + 3) - '0')));
      return i + 4;
    }
    return i;
  }
  size_t TakeBackslashU(size_t i) {
    if (At(i + 2) == '{') {
      char32_t cp = 0;
      size_t j = i + 3;
      for (; j < i + 9 && HexValue(At(j)) >= 0; j++) cp = cp * 16 + char32_t(HexValue(At(j)));
      if (j == i + 3 || At(j) != '}' || cp > 0x10ffff) return i;
      PushCodePoint(i, j + 1, cp);
      return j + 1;
    }
    const auto hi = Hex2(i + 2), lo = Hex2(i + 4);
    if (!hi || !lo) return i;
    char32_t cp = char32_t(*hi) << 8 | *lo;
    size_t end = i + 6;
    if (cp >= 0xd800 && cp < 0xdc00 && At(end) == '\\' && At(end + 1) == 'u') {
      const auto hi2 = Hex2(end + 2), lo2 = Hex2(end + 4);
      const char32_t low = hi2 && lo2 ? char32_t(*hi2) << 8 | *lo2 : 0;
      if (low >= 0xdc00 && low < 0xe000)
        cp = 0x10000 + ((cp - 0xd800) << 10) + (low - 0xdc00), end += 6;
    }
    PushCodePoint(i, end, cp);
    return end;
  }

  // =34 counts only in company (a lone "=34" is a parameter); "=\n" is a soft line break (RFC
  // 2045 6.7).
  size_t TakeQuotedPrintable(size_t i) {
    if (At(i + 1) == '\n') return i + 2;
    if (At(i + 1) == '\r' && At(i + 2) == '\n') return i + 3;
    const auto v = Hex2(i + 1);
    if (!v || *v < 0x20 || *v >= 0x7f) return i;
    const bool after = i >= 3 && qp_end_ == i;
    const bool before = At(i + 3) == '=' && Hex2(i + 4).has_value();
    const bool gap = (*v == 0x20 || *v == 0x2d) && GapInCompany(i);
    if (!after && !before && !gap) return i;
    if (!after && !gap && i > 0 && At(i - 1) >= '0' && At(i - 1) <= '9') return i;
    PushCodePoint(i, i + 3, *v);
    qp_end_ = i + 3;
    return i + 3;
  }

  // 4111=201111=201111: the same escape stands before or after the next few digits.
  bool GapInCompany(size_t i) const {
    const std::string_view escape = text_.substr(i, 3);
    if (text_.substr(i + 3, 8).find(escape) != std::string_view::npos) return true;
    return qp_end_ < i && i - qp_end_ <= 8;
  }

  // Inline markup between digits. Cells, lines and blocks are real borders and stay.
  size_t TakeTag(size_t i) {
    size_t j = i + 1;
    if (At(j) == '!' && text_.substr(j).starts_with("!--")) {
      const size_t end = text_.substr(0, std::min(text_.size(), i + 64)).find("-->", j);
      if (end == std::string_view::npos) return i;
      return PushTag(i, end + 3);
    }
    if (At(j) == '/') j++;
    const size_t name = j;
    while (j < name + 8 && ((At(j) | 0x20) >= 'a') && ((At(j) | 0x20) <= 'z')) j++;
    char lower[8];
    for (size_t k = name; k < j; k++) lower[k - name] = char(At(k) | 0x20);
    static constexpr std::string_view kInline[] = {
        "wbr",  "b",    "i",  "u",   "s",   "a",     "em",     "span", "font", "sub", "sup",
        "code", "mark", "tt", "bdi", "bdo", "small", "strong", "kbd",  "big",  "var", "q"};
    if (std::ranges::find(kInline, std::string_view(lower, j - name)) == std::end(kInline))
      return i;
    while (j < i + 64 && j < text_.size() && text_[j] != '>' && text_[j] != '<') j++;
    if (At(j) != '>') return i;
    return PushTag(i, j + 1);
  }
  size_t PushTag(size_t begin, size_t end) {
    if (!out_.empty() && out_.back().c == kTag && out_.back().end == begin) {
      out_.back().end = uint32_t(end);
    } else {
      Push(begin, end, kTag, kFoldedFlag);
    }
    return end;
  }

  size_t TakeTerminal(size_t i) {
    if (At(i + 1) != '[') return i;
    size_t j = i + 2;
    while (j < i + 24 && ((At(j) >= '0' && At(j) <= '9') || At(j) == ';')) j++;
    return At(j) == 'm' || At(j) == 'K' ? j + 1 : i;
  }

  std::string_view text_;
  std::vector<Symbol>& out_;
  size_t qp_end_ = ~size_t(0), percent_end_ = ~size_t(0);
  bool rtl_ = false;
};

}  // namespace

void Fold(std::string_view text, size_t from, size_t to, std::vector<Symbol>& out) {
  Folder(text, out).Run(from, to);
}

int DecodeUtf8(std::string_view text, size_t i, char32_t& cp) {
  const auto at = [&](size_t k) {
    return k < text.size() ? static_cast<unsigned char>(text[k]) : 0u;
  };
  const unsigned c = at(i);
  const auto more = [&](size_t k) { return (at(k) & 0xc0) == 0x80; };
  if (c < 0x80) {
    cp = c;
    return 1;
  }
  if (c >= 0xc2 && c < 0xe0 && more(i + 1)) {
    cp = (c & 0x1f) << 6 | (at(i + 1) & 0x3f);
    return 2;
  }
  if (c >= 0xe0 && c < 0xf0 && more(i + 1) && more(i + 2)) {
    cp = (c & 0x0f) << 12 | (at(i + 1) & 0x3f) << 6 | (at(i + 2) & 0x3f);
    if (cp >= 0x800) return 3;
  }
  if (c >= 0xf0 && c < 0xf5 && more(i + 1) && more(i + 2) && more(i + 3)) {
    cp = (c & 0x07) << 18 | (at(i + 1) & 0x3f) << 12 | (at(i + 2) & 0x3f) << 6 | (at(i + 3) & 0x3f);
    if (cp >= 0x10000 && cp <= 0x10ffff) return 4;
  }
  cp = 0xfffd;
  return 1;
}

char FoldCodePoint(char32_t cp) {
  if (cp < 0x80) {
    if (cp >= 0x20 && cp != 0x7f) return char(cp);
    return cp == '\t' || cp == '\n' || cp == '\r' ? char(cp) : char(0);
  }
  const auto* zero = std::upper_bound(std::begin(kZeros), std::end(kZeros), cp);
  if (zero != std::begin(kZeros) && cp - zero[-1] < 10) return char('0' + (cp - zero[-1]));
  if (const Span* s = FindSpan(kOtherDigits, cp)) {
    return cp >= 0x1f101 && cp <= 0x1f10a ? char('0' + (cp - 0x1f101))
                                          : char(s->first + char(cp - s->lo));
  }
  if (const Span* s = FindSpan(kSeparators, cp)) return s->first;
  if (FindSpan(kUnseen, cp)) return 0;
  return kOther;
}

}  // namespace sallyport::mask
