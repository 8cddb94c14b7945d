#pragma once

#include <cstddef>
#include <cstdint>

namespace sallyport::mask {

/// What 64 bytes hold, one bit per byte, the first byte in bit 0.
struct BlockMasks {
  uint64_t digits;   // 0…9
  uint64_t token;    // the alphabets of base64 and hexadecimal: letters, digits, + / - _
  uint64_t odd;      // not ASCII, control characters other than white space, and % & < = backslash
  uint64_t trigger;  // "cv", "cu" or "bl" in either case begins here; never in bit 63 of a block
};

/// Fills one entry per 64 bytes; the last block may be short and is padded with spaces. AVX2 where
/// the machine has it, else SSE4.2 (the baseline); the scalar one is the reference for tests.
void ClassifyBlocks(const char* bytes, size_t size, BlockMasks* masks);
void ClassifyBlocksSse(const char* bytes, size_t size, BlockMasks* masks);
void ClassifyBlocksScalar(const char* bytes, size_t size, BlockMasks* masks);

}  // namespace sallyport::mask
