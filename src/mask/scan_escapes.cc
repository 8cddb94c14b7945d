#include "mask/scan_escapes.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>

#include "mask/fold.h"
#include "mask/scan_blocks.h"

namespace sallyport::mask {
namespace {

bool IsDigit(char c) { return c >= '0' && c <= '9'; }
bool IsAlpha(char c) { return (c | 0x20) >= 'a' && (c | 0x20) <= 'z'; }
bool IsHex(char c) { return IsDigit(c) || ((c | 0x20) >= 'a' && (c | 0x20) <= 'f'); }
int HexValue(char c) { return IsDigit(c) ? c - '0' : (c | 0x20) - 'a' + 10; }

/// Lead bytes of characters that may be digits, invisible or separators; the other scripts are
/// passed over.
constexpr auto kLead = [] {
  std::array<bool, 256> t{};
  for (int c : {0xc2, 0xcc, 0xcd, 0xd2, 0xd6, 0xd8, 0xd9, 0xdb, 0xdf, 0xe0, 0xe1, 0xe2, 0xe3, 0xea,
                0xef, 0xf0, 0xf3}) {
    t[size_t(c)] = true;
  }
  return t;
}();

class EdgeLook {
 public:
  EdgeLook(std::string_view text, size_t from, Regions& regions)
      : t_(text), from_(from), regions_(regions) {}

  void After(size_t end) {
    const char next = At(end + 1);
    switch (t_[end]) {
      case '&':
        if (next == '#' || IsAlpha(next)) Around(end);
        return;
      case '<':
        if (IsAlpha(next) || next == '/' || next == '!') Markup(end);
        return;
      case '=':
        if (next == '\n' || next == '\r' || next == '2') Around(end);
        return;
      case '\\':
        if (next == '\n' || next == '\r' || next == 'u' || next == 'x') Around(end);
        return;
      case 'e':
      case 'E':
        if (IsDigit(next) || next == '+' || next == '-') Exponent(end);
        return;
      default:  // a percent sign, control characters
        return Around(end);
    }
  }

  /// A run of digits begins at b.
  void Before(size_t b) {
    const char prev = b > from_ ? t_[b - 1] : ' ';
    if (uint8_t(prev) < 0x20) {
      if (prev == '\t' || prev == '\n' || prev == '\r') return;
      size_t end = b;
      while (end < t_.size() && IsDigit(t_[end])) end++;
      return regions_.Add(b - 1, end);
    }
    Escape(b, prev);
  }

  void Folded(char32_t cp, size_t b, size_t e) {
    const char c = FoldCodePoint(cp);
    const bool digit_beside = (b > from_ && IsDigit(t_[b - 1])) || IsDigit(At(e));
    if (IsDigit(c) || (c != kOther && digit_beside)) regions_.Add(b, e);
    if (cp == 0x202e) regions_.Add(b, e + 64);
  }

 private:
  char At(size_t i) const { return i < t_.size() ? t_[i] : '\0'; }
  void Around(size_t end) { regions_.Around(end, 24, 24); }

  void Markup(size_t i) {
    const size_t close = t_.substr(0, std::min(t_.size(), i + 72)).find('>', i);
    if (close == std::string_view::npos) return;
    if (IsDigit(At(close + 1)) || At(close + 1) == '<' || At(close + 1) == ' ')
      regions_.Around(i, 8, close + 8 - i);
  }
  /// 4.111111111111111e15
  void Exponent(size_t end) {
    size_t b = end;
    while (b > from_ && end - b < 40 && IsDigit(t_[b - 1])) b--;
    const size_t n = end - b;
    if (n < 8) return;
    if (n >= 12 || (b >= from_ + 2 && t_[b - 1] == '.' && IsDigit(t_[b - 2])))
      regions_.Around(end, n + 20, 8);
  }
  /// \u0966, \x34, \u{34} and surrogates: the run is part of an escape.
  void Escape(size_t b, char prev) {
    if (b < from_ + 2) return;
    const bool surrogate = prev == 'd' && b >= from_ + 3 && t_[b - 2] == 'u' && t_[b - 3] == '\\';
    if (surrogate) return regions_.Add(b - 3, b + 12);
    if (prev == '{' && t_[b - 2] == 'u') return regions_.Add(b - 2, b + 8);
    if (t_[b - 2] != '\\' || (prev != 'u' && prev != 'x')) return;
    char32_t cp = 0;
    size_t e = b;
    for (const size_t most = b + (prev == 'u' ? 4 : 2); e < most && IsHex(At(e)); e++)
      cp = cp * 16 + char32_t(HexValue(t_[e]));
    Folded(cp, b - 2, e);
  }

  std::string_view t_;
  size_t from_;
  Regions& regions_;
};

}  // namespace

void LookAtHigh(std::string_view text, size_t from, size_t i, Regions& regions) {
  if (!kLead[uint8_t(text[i])]) return;
  char32_t cp;
  const int n = DecodeUtf8(text, i, cp);
  EdgeLook(text, from, regions).Folded(cp, i, i + size_t(n));
}

void LookAtEdges(std::string_view text, size_t from, size_t base, uint64_t behind, uint64_t starts,
                 Regions& regions) {
  const char* block = text.data() + base;
  char last[64];
  if (text.size() - base < 64) {
    std::memset(last, ' ', sizeof last);
    std::memcpy(last, block, text.size() - base);
    block = last;
  }
  const EdgeMasks edges = FindEdges(block);
  EdgeLook look(text, from, regions);
  for (uint64_t m = behind & edges.after; m != 0; m &= m - 1)
    look.After(base + size_t(std::countr_zero(m)));
  const uint64_t first =
      base > from && (starts & 1) != 0 ? 1 : 0;  // its neighbour is in the block before
  for (uint64_t m = starts & (edges.before << 1 | first); m != 0; m &= m - 1)
    look.Before(base + size_t(std::countr_zero(m)));
}

}  // namespace sallyport::mask
