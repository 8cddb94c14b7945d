#include "mask/scan.h"

#include <algorithm>
#include <array>
#include <bit>

#include "mask/decode.h"
#include "mask/fold.h"
#include "mask/iin_table.h"
#include "mask/number_words.h"
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

/// Issuer, length and check digit of consecutive digits; 62… and 81… may lack the check digit.
bool Plausible(const uint8_t* d, int n) {
  if (n < 12 || n > 19) return false;
  if (!(kLengthsOfPrefix4[d[0] * 1000 + d[1] * 100 + d[2] * 10 + d[3]] >> (n - 12) & 1))
    return false;
  if ((d[0] == 6 && d[1] == 2) || (d[0] == 8 && d[1] == 1)) return true;
  return LuhnOk(d, n);
}

class Scanner {
 public:
  Scanner(std::string_view text, size_t from, ScanResult& result, bool first_only)
      : t_(text), from_(from), result_(result), first_only_(first_only) {}

  void Run() {
    constexpr size_t kBatch = 64;
    BlockMasks masks[kBatch];
    for (size_t at = from_; at < t_.size() && !Done(); at += kBatch * 64) {
      const size_t n = std::min(t_.size() - at, kBatch * 64);
      ClassifyBlocks(t_.data() + at, n, masks);
      for (size_t k = 0; k * 64 < n; k++) Block(at + k * 64, masks[k]);
    }
    if (run_open_) EndRun(t_.size());
    if (token_ >= kMinToken) Token(t_.size() - token_, t_.size());
  }

 private:
  static constexpr size_t kMinToken = 16;

  bool Done() const { return first_only_ && !result_.regions.empty(); }
  char At(size_t i) const { return i < t_.size() ? t_[i] : '\0'; }

  void Add(size_t begin, size_t end) {
    begin = std::max(begin, from_);
    end = std::min(end, t_.size());
    auto& r = result_.regions;
    while (!r.empty() && r.back().begin >= begin) {
      end = std::max(end, r.back().end);
      r.pop_back();
    }
    if (!r.empty() && r.back().end >= begin) {
      r.back().end = std::max(r.back().end, end);
    } else {
      r.push_back({begin, end});
    }
  }

  void Block(size_t base, const BlockMasks& m) {
    if (m.digits | uint64_t(run_open_)) Digits(base, m.digits);
    if (m.token != 0 || token_ != 0) Tokens(base, m.token);
    if (m.odd) {
      for (uint64_t w = m.odd; w; w &= w - 1) Odd(base + size_t(std::countr_zero(w)));
    }
    uint64_t t = m.trigger;
    if (((base + 63 < t_.size() ? t_[base + 63] : ' ') | 0x20) == 'c' ||
        (At(base + 63) | 0x20) == 'b')
      t |= uint64_t(1) << 63;
    for (; t; t &= t - 1) Trigger(base + size_t(std::countr_zero(t)));
    if (m.digits == 0 && std::popcount(~m.token) >= 8) Word(base);
  }

  // ---- runs of digits

  void Digits(size_t base, uint64_t d) {
    result_.digits += size_t(std::popcount(d));
    uint64_t pos = 0;
    while (pos < 64) {
      if (!run_open_) {
        const uint64_t rest = d >> pos;
        if (rest == 0) return;
        pos += uint64_t(std::countr_zero(rest));
        run_ = base + pos;
        run_open_ = true;
      }
      const uint64_t gap = ~d >> pos;
      if (gap == 0) return;
      pos += uint64_t(std::countr_zero(gap));
      if (pos >= 64) return;
      EndRun(base + pos);
    }
  }

  void EndRun(size_t end) {
    run_open_ = false;
    const size_t n = end - run_, gap = run_ - last_end_;
    const bool joined = gap <= 4 && count_ > 0;
    if (!joined) {
      history_ = 0;
      count_ = 0;
    }
    if (joined && n == last_size_ && gap == last_gap_) {
      if (++uniform_ >= 12 || (n == 3 && uniform_ >= 4)) Add(uniform_start_, end + 8);
    } else {
      uniform_ = joined && n == last_size_ ? 2 : 1;
      uniform_start_ = uniform_ == 2 ? starts_[(count_ + 7) & 7] : run_;
    }
    last_gap_ = gap;
    last_size_ = n;
    last_end_ = end;
    history_ = history_ << 4 | std::min<size_t>(n, 15);
    starts_[count_ & 7] = run_;
    sizes_[count_ & 7] = n;
    count_++;
    if (n >= 12) {
      Long(run_, end);
    }
    if (count_ > 1) Shapes(end);
    const char next = At(end);
    if (next == 'l' || next == 'I' || next == 'O' || next == 'o') {
      const char after = At(end + 1);
      if (IsDigit(after) || after == 'l' || after == 'I' || after == 'O' || after == 'o')
        Add(run_, end + 40);
    }
    if ((next | 0x20) == 'e' && n >= 8 &&
        (IsDigit(At(end + 1)) || At(end + 1) == '+' || At(end + 1) == '-')) {
      if (n >= 12 || (run_ >= 2 && t_[run_ - 1] == '.' && IsDigit(t_[run_ - 2])))
        Add(run_ - std::min<size_t>(run_, 20), end + 8);
    }
  }

  /// One unbroken run of at least twelve digits.
  void Long(size_t b, size_t e) {
    const size_t n = e - b;
    const char next = At(e), after = At(e + 1);
    uint8_t d[40];
    const size_t m = std::min<size_t>(n, 40);
    for (size_t i = 0; i < m; i++) d[i] = uint8_t(t_[b + i] - '0');
    if (n <= 19) {
      if (Plausible(d, int(n))) return Add(b, e);
      if (next == '+' || (next == ' ' && after == '+')) return Add(b, e + 6);
      if (Backwards(d, int(n), b)) return Add(b, e);
    }
    if (next == '=' || next == '^' || ((next | 0x20) == 'd' && IsDigit(after)))
      return Add(b, e + 40);
    if (n >= 14 && n <= 40 && b > 1 && (t_[b - 1] | 0x20) == 'a' && t_[b - 2] == '5')
      return Add(b - 2, e);
    if (n <= 21 && n >= 14 && size_t(d[0] * 10 + d[1]) == n - 2 && Plausible(d + 2, int(n) - 2))
      return Add(b, e);
    if (n <= 25 && n >= 18 && size_t(d[4] * 10 + d[5]) == n - 6 && Plausible(d + 6, int(n) - 6))
      return Add(b, e);
    if (n >= 18 && n <= 24) {
      for (size_t tail : {4u, 7u, 8u}) {
        const size_t k = n - tail;
        if (k >= 14 && k <= 19 && d[k] <= 1 && Plausible(d, int(k))) return Add(b, e);
      }
    }
    if (n >= 24 && t_[b] == '3' && (t_[b + 2] == '3' || t_[b + 4] == '3')) Add(b, e);
    if (n >= 24 && t_[b] == '0' && t_[b + 1] == '0' && t_[b + 2] == '3') Add(b, e);
  }
  bool Backwards(uint8_t* d, int n, size_t b) const {
    std::reverse(d, d + n);
    const bool plausible = Plausible(d, n);
    std::reverse(d, d + n);
    if (!plausible) return false;
    const std::string_view near = t_.substr(b - std::min<size_t>(b, 40), std::min<size_t>(b, 40));
    return near.find_first_of("vV") != std::string_view::npos ||
           near.find("ackw") != std::string_view::npos ||
           near.find("irror") != std::string_view::npos ||
           near.find("ckw") != std::string_view::npos;
  }

  /// Whether the last groups have a shape that card numbers are written in.
  void Shapes(size_t end) {
    const uint64_t h = history_;
    const size_t b = h & 15, a = h >> 4 & 15;
    if (a >= 4 && b >= 2 && sizes_[(count_ - 2) & 7] + sizes_[(count_ - 1) & 7] >= 12)
      TryGroups(2, end);
    if (count_ < 3) return;
    switch (h & 0xfff) {
      case 0x444:
      case 0x465:
      case 0x464:
      case 0x448:
      case 0x484:
      case 0x844:
      case 0x664:
      case 0x665:
      case 0x666:
      case 0x667:
      case 0x555:
      case 0x556:
      case 0x554:
      case 0x883:
      case 0x882:
      case 0x881:
      case 0x646:
      case 0x475:
        TryGroups(3, end);
        if ((h & 0xfff) == 0x444) ThreeFours(end);
        break;
      default:
        break;
    }
    if (count_ < 4) return;
    if ((h >> 4 & 0xfff) == 0x444 || (h >> 4 & 0xfff) == 0x555) TryGroups(4, end);
    if (count_ < 5) return;
    if ((h >> 4 & 0xffff) == 0x4444) TryGroups(5, end);
    // A line break inside a group of four.
    if (a + b == 4 || (h >> 8 & 15) + a == 4 || (h >> 12 & 15) + (h >> 8 & 15) == 4 ||
        (h >> 16 & 15) + (h >> 12 & 15) == 4) {
      TryGroups(5, end);
    }
  }
  void TryGroups(uint32_t groups, size_t end) {
    uint8_t d[24];
    int n = 0;
    for (uint32_t k = groups; k > 0; k--) {
      const uint32_t g = (count_ - k) & 7;
      if (n + int(std::min<size_t>(sizes_[g], 20)) > 19) return;
      for (size_t i = 0; i < sizes_[g]; i++) d[n++] = uint8_t(t_[starts_[g] + i] - '0');
    }
    if (Plausible(d, n)) Add(starts_[(count_ - groups) & 7], end);
  }
  /// Three groups of four, and the first one is spelled out before them.
  void ThreeFours(size_t end) {
    const size_t b = starts_[(count_ - 3) & 7];
    size_t e = b;
    while (e > from_ && b - e < 4 && !IsAlpha(t_[e - 1])) e--;
    size_t w = e;
    while (w > from_ && e - w < 8 && IsAlpha(t_[w - 1])) w--;
    if (IsNumberWord(t_.substr(w, e - w))) Add(b - std::min<size_t>(b, 64), end);
  }

  // ---- blobs

  void Tokens(size_t base, uint64_t b) {
    if (b == ~uint64_t(0)) {
      token_ += 64;
      return;
    }
    const size_t lead = size_t(std::countr_zero(~b));
    if (token_ + lead >= kMinToken) Token(base - token_, base + lead);
    uint64_t r = b & b >> 1;
    r &= r >> 2;
    r &= r >> 4;
    r &= r >> 8;
    if (lead < 64) r &= ~uint64_t(0) << lead;
    while (r) {
      const size_t s = size_t(std::countr_zero(r));
      const uint64_t rest = ~b >> s;
      if (rest == 0) break;  // reaches the end of the block: goes on there
      const size_t e = s + size_t(std::countr_zero(rest));
      if (e >= 64) break;
      Token(base + s, base + e);
      r &= ~uint64_t(0) << e;
    }
    token_ = size_t(std::countl_zero(~b));
  }
  void Token(size_t b, size_t e) {
    if (b < from_) b = from_;
    if (e - b >= kMinToken && MayBeBlob(t_.substr(b, e - b))) Add(b, e);
  }

  // ---- the rest

  void Odd(size_t i) {
    const auto c = static_cast<unsigned char>(t_[i]);
    const bool digit_before = i > from_ && IsDigit(t_[i - 1]);
    if (c >= 0xc2) {
      if (!kLead[c]) return;
      char32_t cp;
      const int n = DecodeUtf8(t_, i, cp);
      return Folded(cp, i, i + size_t(n), digit_before);
    }
    switch (c) {
      case '%':
        if (digit_before || (IsHex(At(i + 1)) && IsHex(At(i + 2)) && At(i + 3) == '%'))
          Add(i - std::min<size_t>(i, 24), i + 24);
        return;
      case '&':
        if (At(i + 1) == '#' || (digit_before && IsAlpha(At(i + 1))))
          Add(i - std::min<size_t>(i, 24), i + 24);
        return;
      case '<':
        if (digit_before && (IsAlpha(At(i + 1)) || At(i + 1) == '/' || At(i + 1) == '!')) Markup(i);
        return;
      case '=':
        if (digit_before && (At(i + 1) == '\n' || At(i + 1) == '\r' || At(i + 1) == '2'))
          Add(i - std::min<size_t>(i, 24), i + 24);
        return;
      case '\\':
        return Backslash(i, digit_before);
      default:
        if (c < 0x20 && (digit_before || IsDigit(At(i + 1))))
          Add(i - std::min<size_t>(i, 24), i + 24);
    }
  }
  void Folded(char32_t cp, size_t b, size_t e, bool digit_before) {
    const char c = FoldCodePoint(cp);
    if (IsDigit(c)) return Add(b, e);
    if (c != kOther && (digit_before || IsDigit(At(e)))) Add(b, e);
    if (cp == 0x202e) Add(b, e + 64);
  }
  void Markup(size_t i) {
    const size_t close = t_.substr(0, std::min(t_.size(), i + 72)).find('>', i);
    if (close == std::string_view::npos) return;
    if (IsDigit(At(close + 1)) || At(close + 1) == '<' || At(close + 1) == ' ')
      Add(i - std::min<size_t>(i, 8), close + 8);
  }
  void Backslash(size_t i, bool digit_before) {
    const char n = At(i + 1);
    if (n == 'u' || n == 'x') {
      char32_t cp = 0;
      size_t e = i + 2;
      const size_t most = n == 'u' ? 4 : 2;
      if (At(e) == '{' || At(i + 2) == 'd' || At(i + 2) == 'D')
        return Add(i, i + 12);  // \u{…} and surrogates
      for (; e < i + 2 + most && IsHex(At(e)); e++) cp = cp * 16 + char32_t(HexValue(t_[e]));
      return Folded(cp, i, e, digit_before);
    }
    if (digit_before && (n == '\n' || n == '\r')) Add(i - std::min<size_t>(i, 24), i + 24);
  }

  void Trigger(size_t i) {
    const char a = char(t_[i] | 0x20), b = char(At(i + 1) | 0x20);
    if (a == 'c' && b == 'v') return Add(i, i + 48);
    if (a == 'c' && b == 'u') {
      if ((At(i + 2) | 0x20) == 'r' && (At(i + 3) | 0x20) == 'i' && (At(i + 4) | 0x20) == 't')
        Add(i - std::min<size_t>(i, 8), i + 56);
      return;
    }
    if (a == 'b' && b == 'l' && ((At(i + 2) | 0x20) == 'o' || (At(i + 2) | 0x20) == 'k')) {
      for (size_t k = i > 5 ? i - 5 : 0; k + 2 < i; k++) {
        if ((t_[k] | 0x20) == 'p' && (t_[k + 1] | 0x20) == 'i' && (t_[k + 2] | 0x20) == 'n')
          return Add(k, i + 64);
      }
    }
  }

  /// A number that is spelled out is longer than a block, so one word per block is enough to notice
  /// it.
  void Word(size_t base) {
    size_t i = base, e = std::min(t_.size(), base + 40);
    while (i < e && IsAlpha(t_[i])) i++;
    while (i < e && !IsAlpha(t_[i])) i++;
    size_t w = i;
    while (w < e && IsAlpha(t_[w])) w++;
    if (w - i < 2 || w - i > 6 || !IsNumberWord(t_.substr(i, w - i))) return;
    Add(i - std::min<size_t>(i, 128), i + 160);
  }

  std::string_view t_;
  size_t from_;
  ScanResult& result_;
  bool first_only_;
  bool run_open_ = false;
  size_t run_ = 0, last_end_ = 0, last_size_ = 0, last_gap_ = ~size_t(0);
  uint64_t history_ = 0;
  uint32_t count_ = 0;
  size_t uniform_ = 0, uniform_start_ = 0;
  std::array<size_t, 8> starts_{}, sizes_{};
  size_t token_ = 0;
};

}  // namespace

void ScanText(std::string_view text, size_t from, ScanResult& result) {
  Scanner(text, from, result, false).Run();
}

bool MayHoldCardData(std::string_view bytes) {
  ScanResult result;
  Scanner(bytes, 0, result, true).Run();
  return !result.regions.empty();
}

bool MayHoldCardDataInJson(std::string_view json, bool& direct) {
  ScanResult result;
  Scanner(json, 0, result, true).Run();
  direct = !result.regions.empty();
  return direct || result.digits >= 13;
}

}  // namespace sallyport::mask
