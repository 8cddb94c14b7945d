#include "mask/scan_blocks.h"

#include <cstring>
#include <immintrin.h>
#include <string_view>

#include "mask/block_vector.h"

namespace sallyport::mask {
namespace {

constexpr size_t kFirst = BlockBatch::kFirst;

/// What the masks of one block are made from, one bit per byte.
struct Classes {
  uint64_t digits, token, high, plain, c, u, v, r, like, no_word, no_begin;
};

/// By comparisons, for every instruction set.
SALLYPORT_INLINE Classes Compare(const char* p) {
  const Bytes raw(p), low = raw.Lower();
  const uint64_t digits = raw.In('0', '9'), dash = raw.Is('-'), high = raw.High();
  return {.digits = digits,
          .token = digits | low.In('a', 'z') | raw.Is('+') | dash | raw.Is('/') | raw.Is('_'),
          .high = high,
          .plain = dash | raw.Is(' ') | raw.Is('.') | high,
          .c = low.Is('c'),
          .u = low.Is('u'),
          .v = low.Is('v'),
          .r = low.Is('r'),
          .like = raw.Is('l') | raw.Is('I') | low.Is('o'),
          .no_word = low.In('j', 'k') | low.Is('m'),
          .no_begin = low.Is('b') | low.Is('g') | low.In('i', 'm') | low.Is('p') | low.Is('r') |
                      low.In('w', 'y')};
}

enum : uint8_t {
  kDigit = 1,
  kToken = 2,
  kPlain = 4,
  kC = 8,
  kU = 16,
  kLike = 32,
  kNoWord = 64,
  kNoBegin = 128
};
struct AsciiTable {
  alignas(64) uint8_t of[128];
};
constexpr AsciiTable kAscii = [] {
  AsciiTable t{};
  for (uint8_t c = 0; c < 128; c++) {
    const auto one_of = [&](std::string_view set) { return set.find(char(c)) != set.npos; };
    const bool digit = c >= '0' && c <= '9', letter = (c | 0x20) >= 'a' && (c | 0x20) <= 'z';
    t.of[c] =
        uint8_t((digit ? kDigit : 0) | (digit || letter || one_of("+-/_") ? kToken : 0) |
                (one_of(" -.") ? kPlain : 0) | (one_of("cC") ? kC : 0) | (one_of("uU") ? kU : 0) |
                (one_of("lIoO") ? kLike : 0) | (one_of("jkmJKM") ? kNoWord : 0) |
                (one_of("bgijklmprwxyBGIJKLMPRWXY") ? kNoBegin : 0));
  }
  return t;
}();

/// By one look-up in a table of ASCII, where one instruction does 64 of them (AVX-512 VBMI).
SALLYPORT_FOR_AVX512 inline Classes LookUp(const char* p) {
  const __m512i text = _mm512_loadu_si512(p);
  const uint64_t high = _mm512_movepi8_mask(text);
  const __m512i found = _mm512_maskz_permutex2var_epi8(~high, _mm512_load_si512(kAscii.of), text,
                                                       _mm512_load_si512(kAscii.of + 64));
  const Bytes low = Bytes(p).Lower();
#define SALLYPORT_HAS(bit) _mm512_test_epi8_mask(found, _mm512_set1_epi8(char(bit)))
  return {.digits = SALLYPORT_HAS(kDigit),
          .token = SALLYPORT_HAS(kToken),
          .high = high,
          .plain = SALLYPORT_HAS(kPlain) | high,
          .c = SALLYPORT_HAS(kC),
          .u = SALLYPORT_HAS(kU),
          .v = low.Is('v'),
          .r = low.Is('r'),
          .like = SALLYPORT_HAS(kLike),
          .no_word = SALLYPORT_HAS(kNoWord),
          .no_begin = SALLYPORT_HAS(kNoBegin)};
#undef SALLYPORT_HAS
}

SALLYPORT_INLINE void Store(const Classes& is, size_t i, BlockBatch& b) {
  b.digits[i] = is.digits;
  b.token[i] = is.token;
  b.high[i] = is.high;
  b.plain[i] = is.plain;
  const uint64_t r = is.r >> 2 | uint64_t(3) << 62;  // what stands behind the block is not known
  b.code[i] = is.c & (is.v >> 1 | (is.u >> 1 & r) | uint64_t(1) << 63);
  b.like[i] = is.like;
  b.no_word[i] = is.no_word | is.digits | is.high;
  b.no_begin[i] = is.no_begin;
}

/// The blocks of a text; a short last one is a copy.
class Blocks {
 public:
  Blocks(const char* p, size_t size) : p_(p), whole_(size / 64), count_((size + 63) / 64) {
    if (whole_ == count_) return;
    std::memset(last_, ' ', sizeof last_);
    std::memcpy(last_, p + whole_ * 64, size % 64);
  }
  size_t count() const { return count_; }
  /// Fetches 8 blocks of the next batch while this one is looked at.
  SALLYPORT_INLINE void FetchNext(size_t k) const {
    for (size_t i = 0; i < 8; i++) __builtin_prefetch(p_ + (k + i + BlockBatch::kBlocks) * 64);
  }
  SALLYPORT_INLINE const char* operator[](size_t k) const {
    return k < whole_ ? p_ + k * 64 : last_;
  }

 private:
  const char* p_;
  size_t whole_, count_;
  char last_[64];
};

/// What of the last 32 bytes of the block before and the first 32 of this one.
SALLYPORT_INLINE Masks Middle(const Masks& before, const Masks& m) {
  return m << 32 | before >> 32;
}

SALLYPORT_INLINE Masks Row8(const Masks& m) {
  const Masks two = m & m >> 1, four = two & two >> 2;
  return four & four >> 4;
}
SALLYPORT_INLINE Masks Row16(const Masks& m) {
  const Masks eight = Row8(m);
  return eight & eight >> 8;
}
/// Groups of at least four digits, each a bit behind its end.
SALLYPORT_INLINE Masks EndsOfFour(const Masks& before, const Masks& m) {
  Masks end = ~m;
  for (int n = 1; n <= 4; n++) end = end & (m << n | before >> (64 - n));
  return end;
}

/// `b` begins one to four bytes behind the end `a` of a group, and nothing between.
SALLYPORT_INLINE Masks Meet(const Masks& m, const Masks& a, const Masks& b) {
  const Masks gap = ~m;
  Masks near = a << 1;
  for (int k = 0; k < 3; k++) near = near | (near & gap) << 1;
  return near & b;
}

/// What Pairs may find, in a tenth of its time.
SALLYPORT_INLINE Masks MayHavePairs(const Masks& m) {
  const Masks begin = m & ~(m << 1), from2 = begin & m >> 1, from4 = from2 & m >> 2 & m >> 3;
  const Masks to4 = ~m & m << 1 & m << 2 & m << 3 & m << 4;
  const Masks to8 = to4 & m << 5 & m << 6 & m << 7 & m << 8;
  return Meet(m, to4, from4) | Meet(m, to8, from2);
}

/// Two groups within four bytes of each other, of sizes that follow each other in a number as it is
/// printed (the shapes of GroupWalker), or two halves of at least twelve digits with a plain
/// character behind the first. A pair is shorter than half a block: groups that touch an edge of
/// this one are looked at with another middle.
SALLYPORT_INLINE Masks Pairs(const Masks& all, const Masks& plain) {
  const Masks m = all.DropFirstRun(), begin = m & ~(m << 1), end = ~m & m << 1;
  // from[n], to[n]: groups of n digits and more begin here, ended right before here
  Masks from[12] = {begin, begin, begin, begin, begin, begin,
                    begin, begin, begin, begin, begin, begin};
  Masks to[12] = {end, end, end, end, end, end, end, end, end, end, end, end};
  for (int n = 2; n < 12; n++) {
    from[n] = from[n - 1] & m >> (n - 1);
    to[n] = to[n - 1] & m << n;
  }
  const auto meet = [&](const Masks& a, const Masks& b) { return Meet(m, a, b); };
  const auto ends = [&](int n) { return to[n] & ~to[n + 1]; };
  const auto begins = [&](int n) { return from[n] & ~m >> n; };
  const Masks from4 = begins(4);
  Masks found = meet(ends(4), from4 | begins(6) | begins(7) | begins(8)) |
                meet(ends(5), begins(5)) | meet(ends(6), from4 | begins(6)) |
                meet(ends(8), from4 | begins(8));
  for (int n = 4; n <= 10; n++) found = found | meet(to[n] & plain, from[12 - n]);
  return found;
}

/// Groups of digits that begin at an even distance. `some`: six of them in this block, or ten in
/// any order (escapes of several kinds). `many`: as many as one window, `all` or `middle`, is sure
/// to have of twelve (digits written one by one, or as escapes).
struct EvenGroups {
  uint64_t some = 0, many = 0;
};
/// Blocks that have enough groups for that, in either window.
SALLYPORT_INLINE uint64_t MayHaveEven(const Masks& all, const Masks& middle) {
  const Masks a = all & ~(all << 1), b = middle & ~(middle << 1);
  return a.Count().AtLeast(6) | b.Count().AtLeast(6);
}
SALLYPORT_INLINE EvenGroups Even(const Masks& all, const Masks& middle) {
  const Masks a = all & ~(all << 1), b = middle & ~(middle << 1);
  constexpr int kMost = 9;
  constexpr int kPairs[] = {0, 0, 9, 9, 8, 7, 6, 6, 6, 5, 5};
  Counts some, many;
  Masks between_a = a >> 1, between_b = b >> 1;  // of twelve only neighbours make a pair
  for (int stride = 2; stride <= 10; stride++) {
    const Masks next_a = a >> stride, next_b = b >> stride;
    some = some.Max((a & next_a).Count());
    many = many.Max((a & next_a & ~between_a).Count().Plus(kMost - kPairs[stride]));
    many = many.Max((b & next_b & ~between_b).Count().Plus(kMost - kPairs[stride]));
    between_a = between_a | next_a;
    between_b = between_b | next_b;
  }
  return {.some = some.AtLeast(5) | a.Count().AtLeast(10), .many = many.AtLeast(kMost)};
}

/// Some blocks of a batch, eight at a time: what is asked of few blocks is not asked of all.
class Chosen {
 public:
  SALLYPORT_INLINE explicit Chosen(const uint64_t* masks) : masks_(masks) {}
  /// Takes the first of `which`: all of a row of eight when it has most of them, as then nothing
  /// has to be brought together.
  SALLYPORT_INLINE void Take(uint64_t& which) {
    const size_t row = size_t(__builtin_ctzll(which)) / 8 * 8;
    if (__builtin_popcountll(which >> row & 0xff) >= 4) {
      std::memcpy(all_, masks_ + kFirst + row, sizeof all_);
      std::memcpy(before_, masks_ + kFirst + row - 1, sizeof before_);
      for (size_t i = 0; i < 8; i++) at_[i] = uint8_t(row + i);
      which &= ~(uint64_t(0xff) << row);
      return;
    }
    size_t n = 0;
    for (; which != 0 && n < 8; which &= which - 1, n++) {
      const auto k = size_t(__builtin_ctzll(which));
      at_[n] = uint8_t(k);
      all_[n] = masks_[kFirst + k], before_[n] = masks_[kFirst + k - 1];
    }
    for (size_t i = n; i < 8; i++) at_[i] = 0, all_[i] = before_[i] = 0;
  }
  SALLYPORT_INLINE Masks All() const { return Masks(all_); }
  SALLYPORT_INLINE Masks Middle() const { return All() << 32 | Masks(before_) >> 32; }
  /// The bits of the eight as bits of the batch.
  SALLYPORT_INLINE uint64_t Spread(uint64_t bits) const {
    uint64_t blocks = 0;
    for (; bits != 0; bits &= bits - 1) blocks |= uint64_t(1) << at_[__builtin_ctzll(bits)];
    return blocks;
  }

 private:
  const uint64_t* masks_;
  alignas(64) uint64_t all_[8], before_[8];
  uint8_t at_[8];
};

/// Sifts the 8 blocks from k on.
SALLYPORT_INLINE void Sift(size_t k, BlockBatch& b) {
  const size_t i = kFirst + k;
  const Masks digits(b.digits + i), before(b.digits + i - 1);
  const Masks token(b.token + i), token_before(b.token + i - 1);
  const Masks like(b.like + i), high(b.high + i);
  b.tokens |= (Row16(token) | Row16(Middle(token_before, token))).Any() << k;
  b.codes |= Masks(b.code + i).Any() << k;
  b.highs |= high.Any() << k;
  const Masks behind_digit = like & (digits << 1 | before >> 63);
  b.lookalikes |= (behind_digit & ((digits | like) >> 1 | uint64_t(1) << 63)).Any() << k;
  b.words[k / 32] |= HalfMasks::WithShortWord(HalfMasks(b.token + i), HalfMasks(b.no_word + i),
                                              HalfMasks(b.no_begin + i))
                     << (2 * k % 64);

  const Masks middle = Middle(before, digits), eight = Row8(digits), eight_middle = Row8(middle);
  const Masks fours = EndsOfFour(before, digits);
  b.evens |= MayHaveEven(digits, middle) << k;
  b.long_runs |= (eight & eight >> 4 | eight_middle & eight_middle >> 4).Any() << k;
  b.fours |= fours.Any() << k;
  b.busy |= ((eight | eight_middle).Any() | fours.HasTwo()) << k;
}

SALLYPORT_INLINE void TakeEven(const EvenGroups& even, const Chosen& chosen, BlockBatch& b) {
  if ((even.some | even.many) == 0) return;
  const uint64_t many = chosen.Spread(even.many);
  b.busy |= chosen.Spread(even.some) | many;
  b.groups |= many;
}
SALLYPORT_INLINE void SiftEven(BlockBatch& b) {
  Chosen chosen(b.digits);
  for (uint64_t left = b.evens; left != 0;) {
    chosen.Take(left);
    TakeEven(Even(chosen.All(), chosen.Middle()), chosen, b);
  }
}

/// Whether groups stand together as in a card number, in the blocks that are busy.
SALLYPORT_INLINE void SiftGroups(size_t blocks, BlockBatch& b) {
  Chosen digits(b.digits), plain(b.plain);
  const uint64_t all = blocks < 64 ? (uint64_t(1) << blocks) - 1 : ~uint64_t(0);
  for (uint64_t left = b.busy & all; left != 0;) {
    uint64_t same = left;
    digits.Take(left);
    if ((MayHavePairs(digits.All()) | MayHavePairs(digits.Middle())).Any() == 0) continue;
    plain.Take(same);
    b.groups |= digits.Spread(
        (Pairs(digits.All(), plain.All()) | Pairs(digits.Middle(), plain.Middle())).Any());
  }
}

SALLYPORT_INLINE EdgeMasks Edges(const char* p) {
  const Bytes raw(p), low = raw.Lower();
  const uint64_t control = raw.Below(0x20) & ~(raw.In('\t', '\n') | raw.Is('\r'));
  return {control | raw.In('%', '&') | raw.In('<', '=') | raw.Is('\\') | low.Is('e'),
          control | raw.Is('u') | raw.Is('x') | raw.Is('{') | raw.Is('d') | raw.Is('U')};
}
/// Whether something stands beside the digits of block k; what stands before its first byte is not
/// looked at.
SALLYPORT_INLINE bool HasEdges(const char* p, size_t k, const BlockBatch& b) {
  const uint64_t digits = b.digits[kFirst + k], before = b.digits[kFirst + k - 1] >> 63;
  const uint64_t behind = (digits << 1 | before) & ~digits,
                 starts = digits & ~(digits << 1 | before);
  const EdgeMasks edges = Edges(p);
  return ((behind & edges.after) | (starts & (edges.before << 1 | 1))) != 0;
}

SALLYPORT_INLINE void SiftMasks(const Blocks& text, BlockBatch& b) {
  const size_t blocks = text.count();
  for (size_t i = kFirst + blocks; (i - kFirst) % 8 != 0; i++) {
    b.digits[i] = b.token[i] = b.high[i] = b.plain[i] = b.code[i] = b.like[i] = 0;
    b.no_word[i] = ~uint64_t(0), b.no_begin[i] = 0;
  }
  b.tokens = b.long_runs = b.groups = b.busy = b.fours = b.evens = b.words[0] = b.words[1] = 0;
  b.codes = b.lookalikes = b.highs = 0;
  for (size_t k = 0; k < blocks; k += 8) {
    text.FetchNext(k);
    Sift(k, b);
  }
  SiftEven(b);
  b.busy |= b.fours & (b.fours << 1 | b.firsts);
  SiftGroups(blocks, b);
  b.edges = 0;
  for (uint64_t near = b.busy | b.busy << 1 | b.busy >> 1; near != 0; near &= near - 1) {
    const auto k = size_t(__builtin_ctzll(near));
    if (k < blocks && HasEdges(text[k], k, b)) b.edges |= uint64_t(1) << k;
  }
  b.digit_count = 0;
  for (size_t k = 0; k < blocks; k++)
    b.digit_count += size_t(__builtin_popcountll(b.digits[kFirst + k]));
}

SALLYPORT_FOR_AVX512 void SiftAvx512(const Blocks& blocks, BlockBatch& b) {
  for (size_t k = 0; k < blocks.count(); k++) Store(LookUp(blocks[k]), kFirst + k, b);
  SiftMasks(blocks, b);
}
SALLYPORT_INLINE void SiftAny(const Blocks& blocks, BlockBatch& b) {
  for (size_t k = 0; k < blocks.count(); k++) Store(Compare(blocks[k]), kFirst + k, b);
  SiftMasks(blocks, b);
}
SALLYPORT_FOR_AVX2 void SiftAvx2(const Blocks& blocks, BlockBatch& b) { SiftAny(blocks, b); }
void SiftSse(const Blocks& blocks, BlockBatch& b) { SiftAny(blocks, b); }

SALLYPORT_FOR_AVX512 EdgeMasks EdgesAvx512(const char* p) { return Edges(p); }
SALLYPORT_FOR_AVX2 EdgeMasks EdgesAvx2(const char* p) { return Edges(p); }
EdgeMasks EdgesSse(const char* p) { return Edges(p); }

SALLYPORT_INLINE bool QuietBlock(const char* p) {
  const Bytes raw(p);
  const uint64_t control = raw.Below(0x20) & ~(raw.In('\t', '\n') | raw.Is('\r'));
  const uint64_t marks =
      raw.In('%', '&') | raw.Is('*') | raw.In(';', '>') | raw.Is('\\') | raw.Is('^');
  return (control | marks | raw.High() | raw.Lower().In('a', 'z')) == 0;
}
SALLYPORT_INLINE bool QuietBlocks(const Blocks& blocks) {
  for (size_t k = 0; k < blocks.count(); k++) {
    if (!QuietBlock(blocks[k])) return false;
  }
  return true;
}
SALLYPORT_FOR_AVX512 bool QuietAvx512(const Blocks& blocks) { return QuietBlocks(blocks); }
SALLYPORT_FOR_AVX2 bool QuietAvx2(const Blocks& blocks) { return QuietBlocks(blocks); }
bool QuietSse(const Blocks& blocks) { return QuietBlocks(blocks); }

BlockKernel Best() {
  static const BlockKernel best = Supports(BlockKernel::avx512) ? BlockKernel::avx512
                                  : Supports(BlockKernel::avx2) ? BlockKernel::avx2
                                                                : BlockKernel::sse;
  return best;
}

}  // namespace

bool Supports(BlockKernel kernel) {
  switch (kernel) {
    case BlockKernel::avx512:
      return __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
             __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512vbmi") &&
             __builtin_cpu_supports("avx512vpopcntdq");
    case BlockKernel::avx2:
      return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi2");
    default:
      return true;
  }
}

void SiftBlocks(const char* p, size_t size, BlockBatch& b, BlockKernel kernel) {
  const Blocks blocks(p, size);
  switch (kernel == BlockKernel::best ? Best() : kernel) {
    case BlockKernel::avx512:
      return SiftAvx512(blocks, b);
    case BlockKernel::avx2:
      return SiftAvx2(blocks, b);
    default:
      return SiftSse(blocks, b);
  }
}

EdgeMasks FindEdges(const char* block) {
  switch (Best()) {
    case BlockKernel::avx512:
      return EdgesAvx512(block);
    case BlockKernel::avx2:
      return EdgesAvx2(block);
    default:
      return EdgesSse(block);
  }
}

bool IsQuiet(const char* text, size_t size) {
  const Blocks blocks(text, size);
  switch (Best()) {
    case BlockKernel::avx512:
      return QuietAvx512(blocks);
    case BlockKernel::avx2:
      return QuietAvx2(blocks);
    default:
      return QuietSse(blocks);
  }
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
