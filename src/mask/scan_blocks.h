#pragma once

#include <cstddef>
#include <cstdint>

namespace sallyport::mask {

/// What 64 bytes hold, one bit per byte, the first byte in bit 0.
struct BlockMasks {
  uint64_t digits;  // 0-9
  uint64_t token;   // the alphabets of base64 and hexadecimal: letters, digits, + / - _
  uint64_t high;    // 0x80 and above
  uint64_t code;    // "cv" or "cu" in either case begins here; not where it crosses the end of the
                    // whole input
  uint64_t jkm;     // letters that no number word has
  uint64_t like;    // i, l, o in either case: what looks like a digit, and more
};

/// Fills one entry per 64 bytes; the last block may be short and is padded with spaces. AVX2 where
/// the machine has it, else SSE4.2 (the baseline); the scalar one is the reference for tests.
void ClassifyBlocks(const char* bytes, size_t size, BlockMasks* masks);
void ClassifyBlocksSse(const char* bytes, size_t size, BlockMasks* masks);
void ClassifyBlocksScalar(const char* bytes, size_t size, BlockMasks* masks);

/// Whether "cv", "cu" or "pi" in either case stands in text[end - 32, end): the words that announce
/// a verification code or a PIN. True when there are fewer than 32 bytes.
bool HasCodeBigram(const char* text, size_t end);

}  // namespace sallyport::mask
