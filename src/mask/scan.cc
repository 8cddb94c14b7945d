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

/// Bytes behind a run of digits that may continue the number.
constexpr auto kEdge = [] {
  std::array<uint8_t, 256> t{};
  for (int c = 0; c < 0x20; c++) t[size_t(c)] = c != '\t' && c != '\n' && c != '\r';
  for (char c : {'%', '&', '<', '=', '\\', 'e', 'E'}) t[size_t(c)] = 1;
  return t;
}();

constexpr auto kHex = [] {
  std::array<uint8_t, 256> t{};
  for (int c = 0; c < 10; c++) t[size_t('0' + c)] = 1;
  for (int c = 0; c < 6; c++) t[size_t('a' + c)] = t[size_t('A' + c)] = 1;
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

  /// Blocks stand at multiples of 64 of the text, so that a text stream, which keeps to them too,
  /// sees the same regions. The block before the first one is looked at for its digits only.
  void Run() {
    if (from_ >= t_.size()) return;
    BlockMasks masks[kBatch + 1];  // one more, to know the neighbour of the last
    const size_t first = from_ / 64 * 64;
    if (first >= 64) {
      ClassifyBlocks(t_.data() + first - 64, 64, masks);
      last_digits_ = masks[0].digits;
    }
    for (size_t at = first; at < t_.size() && !Done(); at += kBatch * 64) {
      const size_t n = std::min(t_.size() - at, (kBatch + 1) * 64);
      const size_t blocks = (n + 63) / 64;
      ClassifyBlocks(t_.data() + at, n, masks);
      if (blocks <= kBatch) masks[blocks] = {};
      const uint64_t digits = masks[0].digits, token = masks[0].token;
      if (at < from_) {
        const uint64_t keep = ~uint64_t(0) << (from_ - at);
        for (uint64_t* m :
             {&masks[0].digits, &masks[0].token, &masks[0].high, &masks[0].code, &masks[0].like})
          *m &= keep;
      }
      Batch(at, masks, std::min(blocks, kBatch), digits, token);
    }
    if (run_open_) EndRun(t_.size());
    if (token_ >= kMinToken) Token(t_.size() - token_, t_.size(), 0, nullptr);
  }

 private:
  static constexpr size_t kMinToken = 16, kBatch = 64;

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

  void Batch(size_t at, BlockMasks* masks, size_t blocks, uint64_t first_digits,
             uint64_t first_token) {
    uint64_t all[kBatch + 1];  // the digits before UUIDs are taken out
    for (size_t k = 0; k <= blocks; k++) all[k] = masks[k].digits;
    all[0] = first_digits;
    for (size_t k = 0; k < blocks; k++) {
      const size_t base = at + k * 64;
      const BlockMasks& m = masks[k];
      Tokens(base, m.token, at, masks);
      if ((m.high | m.code) != 0) {
        for (uint64_t h = m.high; h; h &= h - 1) High(base + size_t(std::countr_zero(h)));
        for (uint64_t c = m.code; c; c &= c - 1) Code(base + size_t(std::countr_zero(c)));
      }
      const uint64_t no_words = m.jkm | m.digits | m.high, token = k == 0 ? first_token : m.token;
      if (uint32_t(no_words) == 0) Word(base, token);
      if (no_words >> 32 == 0) Word(base + 32, token >> 32);
      const uint64_t look_like =
          m.like & (m.digits << 1 | last_digit_) & ((m.digits | m.like) >> 1 | uint64_t(1) << 63);
      for (uint64_t l = look_like; l; l &= l - 1) Lookalike(base + size_t(std::countr_zero(l)));
      last_digit_ = m.digits >> 63;
    }
    if ((At(at + blocks * 64 - 1) | 0x20) == 'c') Code(at + blocks * 64 - 1);
    uint64_t busy = 0, before = last_digits_;
    size_t digits = 0, digits_before = size_t(std::popcount(before));
    for (size_t k = 0; k < blocks; k++) {
      const uint64_t d = all[k];
      const size_t n = size_t(std::popcount(d));
      digits += n;
      if (n + digits_before >= 8 && Busy(d, before)) busy |= uint64_t(1) << k;
      before = d, digits_before = n;
    }
    result_.digits += digits;
    // Blocks beside a busy one are looked at too.
    uint64_t look = busy | busy << 1 | busy >> 1 | uint64_t(last_busy_);
    if (Busy(all[blocks], before)) look |= uint64_t(1) << (blocks - 1);
    if (run_open_) look |= 1;
    while (look) {
      const size_t k = size_t(std::countr_zero(look));
      look &= look - 1;
      if (k >= blocks) break;
      Digits(at + k * 64, masks[k].digits);
      if (run_open_ && k + 1 < 64) look |= uint64_t(1) << (k + 1);
    }
    last_digits_ = before;
    last_busy_ = busy >> (blocks - 1) & 1;
  }

  /// Whether the digits of two neighbouring blocks may be part of a number: twelve in a row, at
  /// least eight in runs of four and more, or short runs at an even distance.
  static bool Busy(uint64_t d, uint64_t before) {
    const auto row = [](uint64_t m) {
      m &= m >> 1;
      m &= m >> 2;
      m &= m >> 4;
      return (m & m >> 4) != 0;
    };
    const auto in_fours = [](uint64_t m) {
      uint64_t f = m & m >> 1;
      f &= f >> 2;
      f |= f << 1;
      return std::popcount(f | f << 2);
    };
    const uint64_t middle = d << 32 | before >> 32;
    if (row(d) || row(middle)) return true;
    if (in_fours(d) + in_fours(before) >= 7 || in_fours(middle) >= 7) return true;
    const uint64_t starts = d & ~(d << 1);
    if (std::popcount(starts) < 6) return false;
    for (int stride : {2, 3, 4, 5, 6, 7, 8, 9, 10}) {
      if (std::popcount(starts & starts >> stride) >= 5) return true;
    }
    return false;
  }

  // ---- runs of digits

  void Digits(size_t base, uint64_t d) {
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
    const size_t b = run_, n = end - b, gap = b - last_end_;
    if (count_ > 0 && n == last_size_ && gap == last_gap_ && gap <= 10) {
      if (++uniform_ >= 12) Add(uniform_start_, end + 8);
    } else {
      uniform_ = count_ > 0 && n == last_size_ && gap <= 10 ? 2 : 1;
      uniform_start_ = uniform_ == 2 ? starts_[(count_ + 7) & 7] : b;
    }
    if (gap > 4) history_ = 0;
    last_gap_ = gap;
    last_size_ = n;
    last_end_ = end;
    history_ = history_ << 4 | std::min<size_t>(n, 15);
    starts_[count_ & 7] = b;
    sizes_[count_ & 7] = n;
    count_++;
    if (n >= 12) Long(b, end);
    if (history_ > 15) Shapes(end, gap);
    Edges(b, end, n);
  }

  /// What stands directly before and behind a run: escapes, markup, letters for digits, exponents.
  void Edges(size_t b, size_t end, size_t n) {
    const char next = At(end), prev = b > from_ ? t_[b - 1] : ' ';
    if (kEdge[uint8_t(next)] != 0) After(end, next, n);
    if (prev == 'u' || prev == 'x' || prev == '{' || prev == 'd' || prev == 'U') Escape(b, prev);
    if (uint8_t(prev) < 0x20 && prev != '\n' && prev != '\t' && prev != '\r') Add(b - 1, end);
  }
  void After(size_t end, char c, size_t n) {
    const auto around = [&] { Add(end - std::min<size_t>(end, 24), end + 24); };
    const char d = At(end + 1);
    switch (c) {
      case '%':
        return around();
      case '&':
        if (d == '#' || IsAlpha(d)) around();
        return;
      case '<':
        if (IsAlpha(d) || d == '/' || d == '!') Markup(end);
        return;
      case '=':
        if (d == '\n' || d == '\r' || d == '2') around();
        return;
      case '\\':
        if (d == '\n' || d == '\r' || d == 'u' || d == 'x') around();
        return;
      case 'e':
      case 'E':
        if (n < 8 || !(IsDigit(d) || d == '+' || d == '-')) return;
        if (n >= 12 || (end - n >= 2 && t_[end - n - 1] == '.' && IsDigit(t_[end - n - 2]))) {
          Add(end - std::min<size_t>(end, n + 20), end + 8);
        }
        return;
      default:  // control characters
        return around();
    }
  }
  /// \u0966, \x34, \u{34} and surrogates: the run is part of an escape.
  void Escape(size_t b, char prev) {
    if (b < from_ + 2) return;
    const bool surrogate = prev == 'd' && b >= from_ + 3 && t_[b - 2] == 'u' && t_[b - 3] == '\\';
    if (surrogate) return Add(b - 3, b + 12);
    if (prev == '{' && t_[b - 2] == 'u') return Add(b - 2, b + 8);
    if (t_[b - 2] != '\\' || prev == 'd' || prev == '{' || prev == 'U') return;
    char32_t cp = 0;
    size_t e = b;
    for (const size_t most = b + (prev == 'u' ? 4 : 2); e < most && IsHex(At(e)); e++)
      cp = cp * 16 + char32_t(HexValue(t_[e]));
    Folded(cp, b - 2, e, b > from_ + 2 && IsDigit(t_[b - 3]));
  }

  /// One unbroken run of at least twelve digits.
  void Long(size_t b, size_t e) {
    const size_t n = e - b;
    const char next = At(e), after = At(e + 1);
    uint8_t d[40];
    const size_t m = std::min<size_t>(n, 40);
    for (size_t i = 0; i < m; i++) d[i] = uint8_t(t_[b + i] - '0');
    if (n <= 19) {
      if (b >= from_ + 2 && t_[b - 1] == '.' && IsDigit(t_[b - 2])) return;  // a fraction
      if (Plausible(d, int(n)) || UnionPay(d, n, b)) return Add(b, e);
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
  /// 62… and 81… may lack the check digit: then the word for them stands before.
  bool UnionPay(const uint8_t* d, size_t n, size_t b) const {
    if (n < 16 || !((d[0] == 6 && d[1] == 2) || (d[0] == 8 && d[1] == 1))) return false;
    const std::string_view near = t_.substr(b - std::min<size_t>(b, 96), std::min<size_t>(b, 96));
    return std::ranges::any_of(near, [](char c) { return (c & 0x80) != 0; }) ||
           near.find("nion") != near.npos || near.find("NION") != near.npos;
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
  void Shapes(size_t end, size_t gap) {
    const uint64_t h = history_;
    const size_t b = h & 15, a = h >> 4 & 15;
    if (a >= 4 && b >= 2 && a + b >= 12) {  // halves
      const char g = t_[end - sizes_[(count_ - 1) & 7] - gap];
      if (g == ' ' || g == '-' || g == '.' || (g & 0x80)) TryGroups(2, end);
    }
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
    if ((h >> 4 & 0xfff) == 0x444 || (h >> 4 & 0xfff) == 0x555) TryGroups(4, end);
    switch (h & 0xfffff) {  // a line break inside a group of four
      case 0x13444:
      case 0x22444:
      case 0x31444:
      case 0x41344:
      case 0x42244:
      case 0x43144:
      case 0x44134:
      case 0x44224:
      case 0x44314:
      case 0x44413:
      case 0x44422:
      case 0x44431:
        return TryGroups(5, end);
      default:
        if ((h >> 4 & 0xffff) == 0x4444) TryGroups(5, end);
    }
  }
  void TryGroups(uint32_t groups, size_t end) {
    if (count_ < groups) return;
    if (kLengthsOfPrefix4[Prefix4(groups)] == 0) return;
    uint8_t d[24];
    int n = 0;
    for (uint32_t k = groups; k > 0; k--) {
      const uint32_t g = (count_ - k) & 7;
      if (n + int(std::min<size_t>(sizes_[g], 20)) > 19) return;
      for (size_t i = 0; i < sizes_[g]; i++) d[n++] = uint8_t(t_[starts_[g] + i] - '0');
    }
    const size_t b = starts_[(count_ - groups) & 7];
    if (Plausible(d, n) || UnionPay(d, size_t(n), b)) Add(b, end);
  }
  /// The first four digits of the last `groups` groups; the rest is 0 when the first group is
  /// shorter.
  size_t Prefix4(uint32_t groups) const {
    size_t v = 0, n = 0;
    for (uint32_t k = groups; k > 0; k--) {
      const uint32_t g = (count_ - k) & 7;
      for (size_t i = 0; i < sizes_[g]; i++) {
        v = v * 10 + size_t(t_[starts_[g] + i] - '0');
        if (++n == 4) return v;
      }
    }
    return 0;
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

  void Tokens(size_t base, uint64_t b, size_t at, BlockMasks* masks) {
    if (b == ~uint64_t(0)) [[unlikely]] {
      token_ += 64;
      return;
    }
    const size_t lead = size_t(std::countr_zero(~b));
    if (token_ + lead >= kMinToken) Token(base - token_, base + lead, at, masks);
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
      Token(base + s, base + e, at, masks);
      r &= ~uint64_t(0) << e;
    }
    token_ = size_t(std::countl_zero(~b));
  }
  /// Looks at a blob; takes the digits of a UUID out of the masks, they are never a card number.
  void Token(size_t b, size_t e, size_t at, BlockMasks* masks) {
    const std::string_view token = t_.substr(b, e - b);
    if (IsUuid(token)) {
      for (size_t i = std::max(b, at); masks && i < e;) {
        const size_t block = (i - at) / 64, bit = (i - at) % 64,
                     n = std::min<size_t>(64 - bit, e - i);
        masks[block].digits &= ~((~uint64_t(0) >> (64 - n)) << bit);
        i += n;
      }
      return;
    }
    if (MayBeBlob(token)) return Add(b, e);
    const size_t n = e - b - (token[0] == '0' && (token[1] | 0x20) == 'x' ? 2 : 0);
    if ((n == 16 || n == 32) && HasCodeBigram(t_.data(), b)) Add(b, e);  // a PIN block
  }

  static bool IsUuid(std::string_view t) {
    if (t.size() != 36 || t[8] != '-' || t[13] != '-' || t[18] != '-' || t[23] != '-') return false;
    int hex = 0;
    for (char c : t) hex += kHex[uint8_t(c)];
    return hex == 32;
  }

  // ---- the rest

  /// "4l", "3O5": a letter that looks like a digit behind one.
  void Lookalike(size_t i) {
    const auto like = [](char c) { return c == 'l' || c == 'I' || c == 'O' || c == 'o'; };
    if (like(t_[i]) && (like(At(i + 1)) || IsDigit(At(i + 1))))
      Add(i - std::min<size_t>(i, 20), i + 40);
  }
  void Code(size_t i) {
    const char b = char(At(i + 1) | 0x20);
    if (b == 'v') return Add(i, i + 48);
    if (b == 'u' && t_.substr(i, 6).size() == 6 && (t_[i + 2] | 0x20) == 'r' &&
        (t_[i + 3] | 0x20) == 'i' && (t_[i + 4] | 0x20) == 't') {
      Add(i - std::min<size_t>(i, 8), i + 56);
    }
  }

  void High(size_t i) {
    const auto c = static_cast<unsigned char>(t_[i]);
    if (!kLead[c]) return;
    char32_t cp;
    const int n = DecodeUtf8(t_, i, cp);
    Folded(cp, i, i + size_t(n), i > from_ && IsDigit(t_[i - 1]));
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
  /// A number that is spelled out is longer than two halves of a block, so one word in each is
  /// enough to notice it.
  void Word(size_t base, uint64_t token) {
    if (std::popcount(~token << 32) < 4) return;
    const size_t i = size_t(std::countr_zero(~token));  // behind the first word, which may be cut
    const uint64_t rest = token >> i;
    if (rest == 0) return;
    const size_t w = i + size_t(std::countr_zero(rest)),
                 n = size_t(std::countr_zero(~(token >> w)));
    if (n < 2 || n > 6 || w + n > 64 || !IsNumberWord(t_.substr(base + w, n))) return;
    Add(base + w - std::min<size_t>(base + w, 128), base + w + 160);
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
  uint64_t last_digits_ = 0, last_digit_ = 0;
  bool last_busy_ = false;
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
