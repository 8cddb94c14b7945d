#include "mask/scan_blocks.h"

#include <cstring>
#include <immintrin.h>

namespace sallyport::mask {
namespace {

// A byte belongs to a class when the rows of its two nibbles share a bit.
enum : uint8_t {
  kLetterLow = 1,   // 4x 6x, x >= 1
  kLetterHigh = 2,  // 5x 7x, x <= a or f: with _ (and DEL)
  kMark = 4,        // + - /
  kLike = 8,        // 4x 6x, x of 9 c f
  kC = 16,          // 43 63
  kVU = 32,         // 55 56 75 76
  kJkm = 64,        // 4x 6x, x of a b d
  kDigit = 128,     // 3x, x <= 9; the bit that movemask takes
};

struct Nibbles {
  alignas(16) uint8_t low[16], high[16];
};
constexpr Nibbles kNibbles = [] {
  Nibbles n{};
  for (int x = 0; x < 16; x++) {
    uint8_t v = 0;
    if (x <= 9) v |= kDigit;
    if (x >= 1) v |= kLetterLow;
    if (x <= 10 || x == 15) v |= kLetterHigh;
    if (x == 0xb || x == 0xd || x == 0xf) v |= kMark;
    if (x == 9 || x == 0xc || x == 0xf) v |= kLike;
    if (x == 3) v |= kC;
    if (x == 5 || x == 6) v |= kVU;
    if (x == 0xa || x == 0xb || x == 0xd) v |= kJkm;
    n.low[x] = v;
  }
  n.high[2] = kMark;
  n.high[3] = kDigit;
  n.high[4] = n.high[6] = kLetterLow | kC | kJkm | kLike;
  n.high[5] = kLetterHigh | kVU;
  n.high[7] = kLetterHigh | kVU;
  return n;
}();

BlockMasks OneScalar(const char* p, uint64_t& c_last, BlockMasks* before) {
  BlockMasks m{};
  for (int i = 0; i < 64; i++) {
    const auto c = static_cast<uint8_t>(p[i]);
    const uint64_t bit = uint64_t(1) << i;
    const bool digit = c >= '0' && c <= '9', letter = (c | 0x20) >= 'a' && (c | 0x20) <= 'z';
    if (digit) m.digits |= bit;
    if (digit || letter || c == '+' || c == '-' || c == '/' || c == '_' || c == 0x7f)
      m.token |= bit;
    if (c >= 0x80) m.high |= bit;
    const char low = char(c | 0x20), next = i < 63 ? char(p[i + 1] | 0x20) : ' ';
    if (low == 'c' && (next == 'v' || next == 'u')) m.code |= bit;
    if (low == 'i' || low == 'l' || low == 'o') m.like |= bit;
    if (low == 'j' || low == 'k' || low == 'm') m.jkm |= bit;
  }
  if (c_last && ((p[0] | 0x20) == 'v' || (p[0] | 0x20) == 'u')) before->code |= uint64_t(1) << 63;
  c_last = (p[63] | 0x20) == 'c';
  return m;
}

BlockMasks OneSse(const char* p, uint64_t& c_last, BlockMasks* before) {
  BlockMasks m{};
  uint64_t c = 0, vu = 0;
  const __m128i low = _mm_load_si128(reinterpret_cast<const __m128i*>(kNibbles.low));
  const __m128i high = _mm_load_si128(reinterpret_cast<const __m128i*>(kNibbles.high));
  const __m128i f = _mm_set1_epi8(0x0f), zero = _mm_setzero_si128();
  for (int i = 0; i < 4; i++) {
    const __m128i v = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p + 16 * i));
    const __m128i cls =
        _mm_and_si128(_mm_shuffle_epi8(low, _mm_and_si128(v, f)),
                      _mm_shuffle_epi8(high, _mm_and_si128(_mm_srli_epi16(v, 4), f)));
    const auto bits = [i](__m128i x) {
      return uint64_t(uint32_t(_mm_movemask_epi8(x))) << (16 * i);
    };
    m.digits |= bits(cls);
    m.token |= bits(_mm_cmpeq_epi8(cls, zero)) ^ uint64_t(0xffff) << (16 * i);
    m.high |= bits(v);
    c |= bits(_mm_slli_epi16(cls, 3));
    vu |= bits(_mm_slli_epi16(cls, 2));
    m.jkm |= bits(_mm_slli_epi16(cls, 1));
    m.like |= bits(_mm_slli_epi16(cls, 4));
  }
  m.code = c & vu >> 1;
  if (c_last & vu & 1) before->code |= uint64_t(1) << 63;
  c_last = c >> 63;
  return m;
}

__attribute__((target("avx2"))) void ClassifyAvx2(const char* p, size_t blocks, BlockMasks* masks,
                                                  uint64_t& c_last) {
  const __m256i low =
      _mm256_broadcastsi128_si256(_mm_load_si128(reinterpret_cast<const __m128i*>(kNibbles.low)));
  const __m256i high =
      _mm256_broadcastsi128_si256(_mm_load_si128(reinterpret_cast<const __m128i*>(kNibbles.high)));
  const __m256i f = _mm256_set1_epi8(0x0f), zero = _mm256_setzero_si256();
  for (; blocks > 0; blocks--, p += 64, masks++) {
    uint64_t digits = 0, other = 0, top = 0, c = 0, vu = 0, jkm = 0, like = 0;
    for (int i = 0; i < 2; i++) {
      const __m256i v = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p + 32 * i));
      const __m256i cls =
          _mm256_and_si256(_mm256_shuffle_epi8(low, _mm256_and_si256(v, f)),
                           _mm256_shuffle_epi8(high, _mm256_and_si256(_mm256_srli_epi16(v, 4), f)));
      digits |= uint64_t(uint32_t(_mm256_movemask_epi8(cls))) << (32 * i);
      other |= uint64_t(uint32_t(_mm256_movemask_epi8(_mm256_cmpeq_epi8(cls, zero)))) << (32 * i);
      top |= uint64_t(uint32_t(_mm256_movemask_epi8(v))) << (32 * i);
      c |= uint64_t(uint32_t(_mm256_movemask_epi8(_mm256_slli_epi16(cls, 3)))) << (32 * i);
      vu |= uint64_t(uint32_t(_mm256_movemask_epi8(_mm256_slli_epi16(cls, 2)))) << (32 * i);
      jkm |= uint64_t(uint32_t(_mm256_movemask_epi8(_mm256_slli_epi16(cls, 1)))) << (32 * i);
      like |= uint64_t(uint32_t(_mm256_movemask_epi8(_mm256_slli_epi16(cls, 4)))) << (32 * i);
    }
    if (c_last & vu & 1) masks[-1].code |= uint64_t(1) << 63;
    c_last = c >> 63;
    *masks = {digits, ~other, top, c & vu >> 1, jkm, like};
  }
}

template <BlockMasks One(const char*, uint64_t&, BlockMasks*)>
void Classify(const char* p, size_t size, BlockMasks* masks, uint64_t c_last) {
  for (; size >= 64; size -= 64, p += 64, masks++) *masks = One(p, c_last, masks - 1);
  if (size == 0) return;
  char last[64];
  std::memset(last, ' ', sizeof last);
  std::memcpy(last, p, size);
  *masks = One(last, c_last, masks - 1);
}

}  // namespace

void ClassifyBlocksScalar(const char* p, size_t size, BlockMasks* masks) {
  Classify<OneScalar>(p, size, masks, 0);
}
void ClassifyBlocksSse(const char* p, size_t size, BlockMasks* masks) {
  Classify<OneSse>(p, size, masks, 0);
}

void ClassifyBlocks(const char* p, size_t size, BlockMasks* masks) {
  static const bool avx2 = __builtin_cpu_supports("avx2");
  if (!avx2) return ClassifyBlocksSse(p, size, masks);
  const size_t blocks = size / 64;
  uint64_t c_last = 0;
  ClassifyAvx2(p, blocks, masks, c_last);
  Classify<OneSse>(p + blocks * 64, size % 64, masks + blocks, c_last);
}

bool HasCodeBigram(const char* text, size_t end) {
  if (end < 32) return true;
  uint32_t c = 0, p = 0, vu = 0, in = 0;
  for (int k = 0; k < 2; k++) {
    const __m128i v =
        _mm_or_si128(_mm_loadu_si128(reinterpret_cast<const __m128i*>(text + end - 32 + 16 * k)),
                     _mm_set1_epi8(0x20));
    const auto bits = [k](__m128i x) { return uint32_t(_mm_movemask_epi8(x)) << (16 * k); };
    c |= bits(_mm_cmpeq_epi8(v, _mm_set1_epi8('c')));
    p |= bits(_mm_cmpeq_epi8(v, _mm_set1_epi8('p')));
    vu |= bits(
        _mm_or_si128(_mm_cmpeq_epi8(v, _mm_set1_epi8('v')), _mm_cmpeq_epi8(v, _mm_set1_epi8('u'))));
    in |= bits(_mm_cmpeq_epi8(v, _mm_set1_epi8('i')));
  }
  return ((c & vu >> 1) | (p & in >> 1)) != 0;
}

}  // namespace sallyport::mask
