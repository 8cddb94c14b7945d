#include "mask/scan_blocks.h"

#include <cstring>
#include <immintrin.h>

namespace sallyport::mask {
namespace {

// A byte belongs to a class when the rows of its two nibbles share a bit.
enum : uint8_t {
  kDigit = 1,       // 3x, x <= 9
  kLetterLow = 2,   // 4x 6x, x >= 1
  kLetterHigh = 4,  // 5x 7x, x <= a
  kMark = 8,        // + - /
  kUnderscore = 16,
  kPercentAmp = 32,  // % &
  kLessEqual = 64,   // < =
  kBackslash = 128,
};
constexpr uint8_t kToken = kDigit | kLetterLow | kLetterHigh | kMark | kUnderscore;
constexpr uint8_t kOdd = kPercentAmp | kLessEqual | kBackslash;

struct Nibbles {
  alignas(16) uint8_t low[16], high[16];
};
constexpr Nibbles kNibbles = [] {
  Nibbles n{};
  for (int x = 0; x < 16; x++) {
    uint8_t v = 0;
    if (x <= 9) v |= kDigit;
    if (x >= 1) v |= kLetterLow;
    if (x <= 10) v |= kLetterHigh;
    if (x == 0xb || x == 0xd || x == 0xf) v |= kMark;
    if (x == 0xf) v |= kUnderscore;
    if (x == 5 || x == 6) v |= kPercentAmp;
    if (x == 0xc || x == 0xd) v |= kLessEqual;
    if (x == 0xc) v |= kBackslash;
    n.low[x] = v;
  }
  n.high[2] = kMark | kPercentAmp;
  n.high[3] = kDigit | kLessEqual;
  n.high[4] = n.high[6] = kLetterLow;
  n.high[5] = kLetterHigh | kUnderscore | kBackslash;
  n.high[7] = kLetterHigh;
  return n;
}();

bool IsSpace(uint8_t c) { return c == '\t' || c == '\n' || c == '\r'; }

BlockMasks OneScalar(const char* p) {
  BlockMasks m{};
  for (int i = 0; i < 64; i++) {
    const auto c = static_cast<uint8_t>(p[i]);
    const uint64_t bit = uint64_t(1) << i;
    const uint8_t cls = c >= 0x80 ? 0 : uint8_t(kNibbles.low[c & 15] & kNibbles.high[c >> 4]);
    if (cls & kDigit) m.digits |= bit;
    if (cls & kToken) m.token |= bit;
    if (cls & kOdd || c >= 0x80 || (c < 0x20 && !IsSpace(c))) m.odd |= bit;
    const char a = char(c | 0x20), b = i < 63 ? char(p[i + 1] | 0x20) : ' ';
    if ((a == 'c' && (b == 'v' || b == 'u')) || (a == 'b' && b == 'l')) m.trigger |= bit;
  }
  return m;
}

__attribute__((target("sse4.2"))) BlockMasks OneSse(const char* p) {
  BlockMasks m{};
  uint64_t c = 0, b = 0, vu = 0, l = 0;
  const __m128i low = _mm_load_si128(reinterpret_cast<const __m128i*>(kNibbles.low));
  const __m128i high = _mm_load_si128(reinterpret_cast<const __m128i*>(kNibbles.high));
  const __m128i f = _mm_set1_epi8(0x0f), zero = _mm_setzero_si128();
  const __m128i below_space = _mm_set1_epi8(0x1f), case_bit = _mm_set1_epi8(0x20);
  for (int i = 0; i < 4; i++) {
    const __m128i v = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p + 16 * i));
    const __m128i cls =
        _mm_and_si128(_mm_shuffle_epi8(low, _mm_and_si128(v, f)),
                      _mm_shuffle_epi8(high, _mm_and_si128(_mm_srli_epi16(v, 4), f)));
    const auto bits = [i](__m128i x) {
      return uint64_t(uint32_t(_mm_movemask_epi8(x))) << (16 * i);
    };
    m.digits |= bits(_mm_slli_epi16(cls, 7));
    m.token |= bits(_mm_cmpgt_epi8(_mm_and_si128(cls, _mm_set1_epi8(char(kToken))), zero));
    const __m128i space = _mm_or_si128(_mm_or_si128(_mm_cmpeq_epi8(v, _mm_set1_epi8('\t')),
                                                    _mm_cmpeq_epi8(v, _mm_set1_epi8('\n'))),
                                       _mm_cmpeq_epi8(v, _mm_set1_epi8('\r')));
    const __m128i control =
        _mm_andnot_si128(space, _mm_cmpeq_epi8(_mm_min_epu8(v, below_space), v));
    const __m128i ascii_odd =
        _mm_cmpgt_epi8(_mm_and_si128(_mm_srli_epi16(cls, 5), _mm_set1_epi8(7)), zero);
    m.odd |= bits(_mm_or_si128(_mm_or_si128(control, ascii_odd), v));
    const __m128i lower = _mm_or_si128(v, case_bit);
    c |= bits(_mm_cmpeq_epi8(lower, _mm_set1_epi8('c')));
    b |= bits(_mm_cmpeq_epi8(lower, _mm_set1_epi8('b')));
    vu |= bits(_mm_or_si128(_mm_cmpeq_epi8(lower, _mm_set1_epi8('v')),
                            _mm_cmpeq_epi8(lower, _mm_set1_epi8('u'))));
    l |= bits(_mm_cmpeq_epi8(lower, _mm_set1_epi8('l')));
  }
  m.trigger = (c & vu >> 1) | (b & l >> 1);
  return m;
}

__attribute__((target("avx2"))) void ClassifyAvx2(const char* p, size_t blocks, BlockMasks* masks) {
  const __m256i low =
      _mm256_broadcastsi128_si256(_mm_load_si128(reinterpret_cast<const __m128i*>(kNibbles.low)));
  const __m256i high =
      _mm256_broadcastsi128_si256(_mm_load_si128(reinterpret_cast<const __m128i*>(kNibbles.high)));
  const __m256i f = _mm256_set1_epi8(0x0f), zero = _mm256_setzero_si256();
  for (; blocks > 0; blocks--, p += 64, masks++) {
    uint64_t digits = 0, token = 0, odd = 0, c = 0, b = 0, vu = 0, l = 0;
    for (int i = 0; i < 2; i++) {
      const __m256i v = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p + 32 * i));
      const __m256i cls =
          _mm256_and_si256(_mm256_shuffle_epi8(low, _mm256_and_si256(v, f)),
                           _mm256_shuffle_epi8(high, _mm256_and_si256(_mm256_srli_epi16(v, 4), f)));
      const int s = 32 * i;
      digits |= uint64_t(uint32_t(_mm256_movemask_epi8(_mm256_slli_epi16(cls, 7)))) << s;
      token |= uint64_t(uint32_t(_mm256_movemask_epi8(
                   _mm256_cmpgt_epi8(_mm256_and_si256(cls, _mm256_set1_epi8(char(kToken))), zero))))
               << s;
      const __m256i space =
          _mm256_or_si256(_mm256_or_si256(_mm256_cmpeq_epi8(v, _mm256_set1_epi8('\t')),
                                          _mm256_cmpeq_epi8(v, _mm256_set1_epi8('\n'))),
                          _mm256_cmpeq_epi8(v, _mm256_set1_epi8('\r')));
      const __m256i control = _mm256_andnot_si256(
          space, _mm256_cmpeq_epi8(_mm256_min_epu8(v, _mm256_set1_epi8(0x1f)), v));
      const __m256i ascii_odd =
          _mm256_cmpgt_epi8(_mm256_and_si256(_mm256_srli_epi16(cls, 5), _mm256_set1_epi8(7)), zero);
      odd |= uint64_t(uint32_t(
                 _mm256_movemask_epi8(_mm256_or_si256(_mm256_or_si256(control, ascii_odd), v))))
             << s;
      const __m256i lower = _mm256_or_si256(v, _mm256_set1_epi8(0x20));
      c |= uint64_t(uint32_t(_mm256_movemask_epi8(_mm256_cmpeq_epi8(lower, _mm256_set1_epi8('c')))))
           << s;
      b |= uint64_t(uint32_t(_mm256_movemask_epi8(_mm256_cmpeq_epi8(lower, _mm256_set1_epi8('b')))))
           << s;
      vu |= uint64_t(uint32_t(_mm256_movemask_epi8(
                _mm256_or_si256(_mm256_cmpeq_epi8(lower, _mm256_set1_epi8('v')),
                                _mm256_cmpeq_epi8(lower, _mm256_set1_epi8('u'))))))
            << s;
      l |= uint64_t(uint32_t(_mm256_movemask_epi8(_mm256_cmpeq_epi8(lower, _mm256_set1_epi8('l')))))
           << s;
    }
    *masks = {digits, token, odd, (c & vu >> 1) | (b & l >> 1)};
  }
}

template <BlockMasks One(const char*)>
void Classify(const char* p, size_t size, BlockMasks* masks) {
  for (; size >= 64; size -= 64, p += 64) *masks++ = One(p);
  if (size == 0) return;
  char last[64];
  std::memset(last, ' ', sizeof last);
  std::memcpy(last, p, size);
  *masks = One(last);
}

}  // namespace

void ClassifyBlocksScalar(const char* p, size_t size, BlockMasks* masks) {
  Classify<OneScalar>(p, size, masks);
}
void ClassifyBlocksSse(const char* p, size_t size, BlockMasks* masks) {
  Classify<OneSse>(p, size, masks);
}

void ClassifyBlocks(const char* p, size_t size, BlockMasks* masks) {
  static const bool avx2 = __builtin_cpu_supports("avx2");
  if (!avx2) return ClassifyBlocksSse(p, size, masks);
  const size_t blocks = size / 64;
  ClassifyAvx2(p, blocks, masks);
  if (size % 64 != 0) ClassifyBlocksSse(p + blocks * 64, size % 64, masks + blocks);
}

}  // namespace sallyport::mask
