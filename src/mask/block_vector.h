#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

// The vectors that the first look is written in: 64 bytes of text, and 8 masks of 64 bits. They are
// the compiler's own vector types, so one source serves every instruction set: inlined into a
// function with `SALLYPORT_FOR_AVX512` a Bytes is one register, elsewhere two or four.

#define SALLYPORT_INLINE inline __attribute__((always_inline))
#define SALLYPORT_FOR_AVX2 __attribute__((target("avx2,bmi,bmi2,lzcnt")))
#define SALLYPORT_FOR_AVX512                                                                 \
  __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi,avx512vpopcntdq,bmi," \
                        "bmi2,lzcnt"),                                                       \
                 min_vector_width(512)))

namespace sallyport::mask {

/// 64 bytes of text. Every question gives one bit per byte, the first byte in bit 0.
class Bytes {
 public:
  SALLYPORT_INLINE explicit Bytes(const char* p) { std::memcpy(&v_, p, sizeof v_); }

  SALLYPORT_INLINE uint64_t Is(char c) const { return Bits(v_ == uint8_t(c)); }
  SALLYPORT_INLINE uint64_t In(char low, char high) const {
    return Bits((v_ - uint8_t(low)) <= uint8_t(high - low));
  }
  SALLYPORT_INLINE uint64_t Below(uint8_t c) const { return Bits(v_ < c); }
  SALLYPORT_INLINE uint64_t High() const { return Bits(v_ >= uint8_t(0x80)); }
  /// Letters in lower case; other bytes become others.
  SALLYPORT_INLINE Bytes Lower() const {
    Bytes b = *this;
    b.v_ |= uint8_t(0x20);
    return b;
  }

 private:
  using Vector = uint8_t __attribute__((ext_vector_type(64)));
  using Bools = bool __attribute__((ext_vector_type(64)));
  template <class T>
  SALLYPORT_INLINE static uint64_t Bits(const T& m) {
    return __builtin_bit_cast(uint64_t, __builtin_convertvector(m, Bools));
  }
  Vector v_;
};

/// A number for each of 8 blocks.
class Counts {
 public:
  SALLYPORT_INLINE Counts() = default;
  SALLYPORT_INLINE Counts Max(const Counts& c) const {
    Counts most;
    most.v_ = v_ > c.v_ ? v_ : c.v_;
    return most;
  }
  SALLYPORT_INLINE Counts Plus(int n) const {
    Counts sum;
    sum.v_ = v_ + uint64_t(n);
    return sum;
  }
  /// One bit per block.
  SALLYPORT_INLINE uint64_t AtLeast(uint64_t n) const {
    return __builtin_bit_cast(uint8_t, __builtin_convertvector(v_ >= n, Bools));
  }

 private:
  friend class Masks;
  using Vector = uint64_t __attribute__((ext_vector_type(8)));
  using Bools = bool __attribute__((ext_vector_type(8)));
  Vector v_{};
};

/// The masks of 8 blocks of text, to be worked on together.
class Masks {
 public:
  SALLYPORT_INLINE explicit Masks(const uint64_t* p) { std::memcpy(&v_, p, sizeof v_); }

  SALLYPORT_INLINE friend Masks operator&(const Masks& a, const Masks& b) {
    return Masks(a.v_ & b.v_);
  }
  SALLYPORT_INLINE friend Masks operator|(const Masks& a, const Masks& b) {
    return Masks(a.v_ | b.v_);
  }
  SALLYPORT_INLINE Masks operator~() const { return Masks(~v_); }
  SALLYPORT_INLINE Masks operator<<(int n) const { return Masks(v_ << uint64_t(n)); }
  SALLYPORT_INLINE Masks operator>>(int n) const { return Masks(v_ >> uint64_t(n)); }
  SALLYPORT_INLINE Masks operator|(uint64_t m) const { return Masks(v_ | m); }

  /// Without the run of ones that begins at the first bit.
  SALLYPORT_INLINE Masks DropFirstRun() const { return Masks(v_ & (v_ + 1)); }

  /// One bit per block.
  SALLYPORT_INLINE uint64_t Any() const { return Bits(v_ != 0); }
  SALLYPORT_INLINE uint64_t HasTwo() const { return Bits((v_ & (v_ - 1)) != 0); }
  /// How many bits each mask has.
  SALLYPORT_INLINE Counts Count() const {
    Counts count;
    for (int i = 0; i < 8; i++) count.v_[i] = uint64_t(__builtin_popcountll(v_[i]));
    return count;
  }

 private:
  using Vector = uint64_t __attribute__((ext_vector_type(8)));
  using Bools = bool __attribute__((ext_vector_type(8)));
  SALLYPORT_INLINE explicit Masks(const Vector& v) : v_(v) {}
  template <class T>
  SALLYPORT_INLINE static uint64_t Bits(const T& m) {
    return __builtin_bit_cast(uint8_t, __builtin_convertvector(m, Bools));
  }
  Vector v_;
};

/// The same masks by halves of blocks, 32 bits each.
class HalfMasks {
 public:
  SALLYPORT_INLINE explicit HalfMasks(const uint64_t* p) { std::memcpy(&v_, p, sizeof v_); }

  /// One bit per half: it holds running text in which the first word behind a gap (one before it
  /// may be cut) begins and is as long as a number word. `bad` are bytes that must not stand in the
  /// half, `bad_begin` letters that must not begin that word.
  SALLYPORT_INLINE static uint64_t WithShortWord(const HalfMasks& token, const HalfMasks& bad,
                                                 const HalfMasks& bad_begin) {
    const Vector t = token.v_, gaps = ~t;
    Vector four = gaps;
    for (int i = 0; i < 3; i++) four &= four - 1;
    const Vector begins = t & gaps << 1, begin = begins & (~begins + 1);
    const Vector end = (t + begin) & gaps & ~(begin - 1);
    const Vector first_end = end & (~end + 1);
    const Vector fits = (begin << 7) - (begin << 2);  // ends 2 to 6 bytes on, or beyond the half
    const Vector ok = ((first_end & fits) | (first_end == 0 ? ~Vector{} : Vector{}));
    const Vector no = bad.v_ | (bad_begin.v_ & begin);
    return Bits((four != 0) & (no == 0) & (ok != 0) & (begin != 0));
  }

 private:
  using Vector = uint32_t __attribute__((ext_vector_type(16)));
  using Bools = bool __attribute__((ext_vector_type(16)));
  template <class T>
  SALLYPORT_INLINE static uint64_t Bits(const T& m) {
    return __builtin_bit_cast(uint16_t, __builtin_convertvector(m, Bools));
  }
  Vector v_;
};

}  // namespace sallyport::mask
