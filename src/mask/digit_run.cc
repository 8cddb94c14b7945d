#include "mask/digit_run.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <immintrin.h>

#include "mask/iin_table.h"

namespace sallyport::mask {
namespace {

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

/// The bytes before `at`, at most n of them.
std::string_view Before(std::string_view text, size_t at, size_t n) {
  return text.substr(at - std::min(at, n), std::min(at, n));
}

bool MayLackCheckDigit(const uint8_t* d) {
  return (d[0] == 6 && d[1] == 2) || (d[0] == 8 && d[1] == 1);
}
/// "UnionPay", or anything that is not ASCII and may be its name.
bool NamesUnionPay(std::string_view near) {
  for (size_t i = 0; i < near.size(); i++) {
    if (near[i] & 0x80) return true;
    if ((near[i] | 0x20) == 'n' && i + 3 < near.size() && (near[i + 1] | 0x20) == 'i' &&
        (near[i + 2] | 0x20) == 'o' && (near[i + 3] | 0x20) == 'n')
      return true;
  }
  return false;
}
bool SaysBackwards(std::string_view near) {
  return near.find_first_of("vV") != near.npos || near.find("irror") != near.npos ||
         near.find("ckw") != near.npos;
}

/// The last 16 bytes are all digits of the run, or masked off by the size.
alignas(16) constexpr auto kKeep = [] {
  std::array<uint8_t, 32> t{};
  for (size_t i = 16; i < 32; i++) t[i] = 0xff;
  return t;
}();

/// The sum of ISO/IEC 7812-1 annex B over `n` of 12 to 19 characters that end at `end`, sixteen at
/// a time. At least 19 bytes before `end` are readable. `from_left`: as if every second digit from
/// the right were doubled beginning with the last one, which is the sum of the number read
/// backwards when n is even.
int LuhnSum(const char* end, size_t n, bool from_left) {
  const __m128i text = _mm_loadu_si128(reinterpret_cast<const __m128i*>(end - 16));
  const __m128i keep =
      _mm_loadu_si128(reinterpret_cast<const __m128i*>(kKeep.data() + std::min<size_t>(n, 16)));
  const __m128i d = _mm_and_si128(_mm_sub_epi8(text, _mm_set1_epi8('0')), keep);
  const __m128i twice =
      _mm_shuffle_epi8(_mm_setr_epi8(0, 2, 4, 6, 8, 1, 3, 5, 7, 9, 0, 0, 0, 0, 0, 0), d);
  const __m128i doubled = _mm_set1_epi16(from_left ? int16_t(0xff00) : int16_t(0x00ff));
  const __m128i sum =
      _mm_sad_epu8(_mm_or_si128(_mm_and_si128(twice, doubled), _mm_andnot_si128(doubled, d)),
                   _mm_setzero_si128());
  int total = _mm_cvtsi128_si32(sum) + _mm_extract_epi16(sum, 4);
  constexpr std::array<int, 10> kTwice = {0, 2, 4, 6, 8, 1, 3, 5, 7, 9};
  const auto more = [&](size_t k, bool twice_it) {
    if (n < k) return;
    const int v = end[-ptrdiff_t(k)] - '0';
    total += twice_it ? kTwice[size_t(v)] : v;
  };
  if (n > 16) more(17, from_left), more(18, !from_left), more(19, from_left);
  return total;
}

class RunLook {
 public:
  RunLook(std::string_view text, size_t from, size_t begin, size_t end, Regions& regions)
      : t_(text), from_(from), b_(begin), e_(end), regions_(regions) {}

  void Run() {
    const size_t n = e_ - b_;
    if (n <= 19 && b_ >= from_ + 2 && t_[b_ - 1] == '.' && IsDigit(t_[b_ - 2]))
      return;  // a fraction
    const Ways ways = n <= 19 ? LookBothWays(n) : Ways{};
    if (ways.forwards && IsNumber(n)) return regions_.Add(b_, e_);
    const char next = At(e_), after = At(e_ + 1);
    if (n <= 19 && (next == '+' || (next == ' ' && after == '+'))) return regions_.Add(b_, e_ + 6);
    if (next == '=' || next == '^' || ((next | 0x20) == 'd' && IsDigit(after)))
      return regions_.Add(b_, e_ + 40);
    if (ways.backwards && Backwards(n)) return regions_.Add(b_, e_);
    if (n >= 14) Records(n);
  }

 private:
  char At(size_t i) const { return i < t_.size() ? t_[i] : '\0'; }
  size_t Digit(size_t i) const { return size_t(t_[b_ + i] - '0'); }
  size_t Two(size_t i) const { return Digit(i) * 10 + Digit(i + 1); }

  /// Whether the run may be a number, read either way. Most are not, so everything that says so is
  /// computed and asked at once: each question alone would be a branch that is hard to foresee.
  struct Ways {
    bool forwards = false, backwards = false;
  };
  Ways LookBothWays(size_t n) const {
    if (e_ < 19) return {true, true};
    uint32_t first, last;
    std::memcpy(&first, t_.data() + b_, 4);
    std::memcpy(&last, t_.data() + e_ - 4, 4);
    const auto fits = [n](uint32_t prefix) { return kLengthsOfPrefix4[prefix] >> (n - 12) & 1; };
    const uint32_t p = FourDigits(first), q = FourDigits(__builtin_bswap32(last));
    const uint32_t p2 = p / 100, q2 = q / 100;
    const bool luhn = LuhnSum(t_.data() + e_, n, false) % 10 == 0;
    const bool luhn_back = n % 2 == 0 && LuhnSum(t_.data() + e_, n, true) % 10 == 0;
    return {bool(fits(p) & (int(luhn) | int(p2 == 62) | int(p2 == 81))),
            bool(fits(q) & (int(luhn_back) | int(q2 == 62) | int(q2 == 81)))};
  }
  /// The value of four characters, the first in the lowest byte.
  static uint32_t FourDigits(uint32_t v) {
    v -= 0x30303030;
    v = (v * 10 + (v >> 8)) & 0x00ff00ff;
    return (v & 0xff) * 100 + (v >> 16);
  }

  bool IsNumber(size_t n) const {
    const size_t prefix = Two(0) * 100 + Two(2);
    if (!(kLengthsOfPrefix4[prefix] >> (n - 12) & 1)) return false;
    if (e_ >= 19) {
      if (LuhnSum(t_.data() + e_, n, false) % 10 == 0) return true;
    } else {
      uint8_t d[20];
      for (size_t i = 0; i < n; i++) d[i] = uint8_t(Digit(i));
      if (LuhnOk(d, int(n))) return true;
    }
    const bool optional = prefix / 100 == 62 || prefix / 100 == 81;
    return optional && n >= 16 && NamesUnionPay(Before(t_, b_, 96));
  }

  bool Plausible(size_t first, size_t n) const {
    uint8_t d[20];
    for (size_t i = 0; i < std::min<size_t>(n, 20); i++) d[i] = uint8_t(Digit(first + i));
    return PlausibleNumber(d, int(n), t_, b_);
  }
  bool Backwards(size_t n) const {
    const size_t prefix =
        Digit(n - 1) * 1000 + Digit(n - 2) * 100 + Digit(n - 3) * 10 + Digit(n - 4);
    if (!(kLengthsOfPrefix4[prefix] >> (n - 12) & 1)) return false;
    // Of an odd number of digits the same ones are doubled either way, and forwards was wrong.
    if (e_ >= 19 && (n % 2 != 0 || LuhnSum(t_.data() + e_, n, true) % 10 != 0)) {
      if (prefix / 100 != 62 && prefix / 100 != 81) return false;
    }
    uint8_t d[20];
    for (size_t i = 0; i < n; i++) d[i] = uint8_t(Digit(n - 1 - i));
    return PlausibleNumber(d, int(n), t_, b_) && SaysBackwards(Before(t_, b_, 40));
  }
  /// Numbers inside longer records.
  void Records(size_t n) {
    if (n <= 40 && b_ > 1 && (t_[b_ - 1] | 0x20) == 'a' && t_[b_ - 2] == '5')
      return regions_.Add(b_ - 2, e_);
    if (n <= 21 && Two(0) == n - 2 && Plausible(2, n - 2)) return regions_.Add(b_, e_);
    if (n < 18) return;
    if (n <= 25 && Two(4) == n - 6 && Plausible(6, n - 6)) return regions_.Add(b_, e_);
    for (size_t tail : {4u, 7u, 8u}) {
      const size_t k = n - tail;
      if (k >= 14 && k <= 19 && Digit(k) <= 1 && Plausible(0, k)) return regions_.Add(b_, e_);
    }
    if (n < 24) return;
    if (Digit(0) == 3 && (Digit(2) == 3 || Digit(4) == 3)) regions_.Add(b_, e_);
    if (Digit(0) == 0 && Digit(1) == 0 && Digit(2) == 3) regions_.Add(b_, e_);
  }

  std::string_view t_;
  size_t from_, b_, e_;
  Regions& regions_;
};

}  // namespace

bool PlausibleNumber(const uint8_t* d, int n, std::string_view text, size_t at) {
  if (n < 12 || n > 19) return false;
  if (!(kLengthsOfPrefix4[d[0] * 1000 + d[1] * 100 + d[2] * 10 + d[3]] >> (n - 12) & 1))
    return false;
  if (LuhnOk(d, n)) return true;
  return n >= 16 && MayLackCheckDigit(d) && NamesUnionPay(Before(text, at, 96));
}

void LookAtRun(std::string_view text, size_t from, size_t begin, size_t end, Regions& regions) {
  RunLook(text, from, begin, end, regions).Run();
}

}  // namespace sallyport::mask
