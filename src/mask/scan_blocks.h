#pragma once

#include <cstddef>
#include <cstdint>

namespace sallyport::mask {

/// What up to 64 blocks of 64 bytes hold. The masks have one bit per byte of a block, the first in
/// bit 0; block k stands at index kFirst + k, before it the block that precedes the batch.
/// The sifted words have one bit per block: where the scanner has to look closer.
struct BlockBatch {
  static constexpr size_t kBlocks = 64, kFirst = 8, kSize = kFirst + kBlocks + 8;

  alignas(64) uint64_t digits[kSize];  // 0-9
  alignas(64) uint64_t token[kSize];   // the alphabets of base64 and hexadecimal: letters, digits,
                                       // + / - _
  alignas(64) uint64_t high[kSize];    // 0x80 and above
  alignas(
      64) uint64_t plain[kSize];     // space, dash, dot, 0x80 and above: what halves stand apart by
  alignas(64) uint64_t code[kSize];  // "cv" or "cur" in either case begins here, or may at the end
  alignas(64) uint64_t like[kSize];  // l I O o: letters that look like digits
  alignas(64) uint64_t no_word[kSize];   // digits, 0x80 and above, letters that no number word has
  alignas(64) uint64_t no_begin[kSize];  // letters that begin no number word

  uint64_t firsts = 1;  // given: blocks in which one group of four may be part of a number, as
                        // what stands before them is not in the batch, or another text

  uint64_t tokens;     // has or ends 16 of `token` in a row, or more
  uint64_t long_runs;  // the same for 12 digits
  uint64_t groups;     // groups of digits beside each other in sizes that cards are written in
  uint64_t busy;       // digits that may be part of a number in any way
  uint64_t edges;      // in or beside a busy block, and an escape or markup may stand beside digits
  uint64_t fours;      // a group of four digits or more ends
  uint64_t evens;      // six groups of digits or more
  uint64_t words[2];   // may be running text of number words; one bit per half of a block
  uint64_t codes;      // `code` is not empty
  uint64_t lookalikes;  // one of `like` between digits
  uint64_t highs;       // `high` is not empty
  size_t digit_count;
};

/// Which instructions the masks are made with; all give the same.
enum class BlockKernel : uint8_t { sse, avx2, avx512, best };

/// Whether this machine has them. `best` is the last that it has.
bool Supports(BlockKernel kernel);

/// Fills the masks of [text, text + size), at most kBlocks blocks, and sifts them. The last block
/// may be short and counts as filled up with spaces. The caller has set digits, token and like at
/// kFirst - 1.
void SiftBlocks(const char* text, size_t size, BlockBatch& batch,
                BlockKernel kernel = BlockKernel::best);

/// The last masks become those before the next batch.
inline void NextBatch(BlockBatch& b) {
  constexpr size_t kLast = BlockBatch::kFirst + BlockBatch::kBlocks - 1;
  b.digits[BlockBatch::kFirst - 2] = b.digits[kLast - 1];
  b.digits[BlockBatch::kFirst - 1] = b.digits[kLast];
  b.token[BlockBatch::kFirst - 1] = b.token[kLast];
  b.plain[BlockBatch::kFirst - 1] = b.plain[kLast];
}

/// Bytes that may continue or escape the digits beside them: control characters, markup, escapes.
struct EdgeMasks {
  uint64_t after;   // behind digits
  uint64_t before;  // in front of them
};
EdgeMasks FindEdges(const char* block);  // 64 bytes

/// Digits, blanks and marks only: no letters, nothing above 0x7f, no control characters, none of
/// % & * ; < = > \ ^ that escapes, markup and records begin with.
bool IsQuiet(const char* text, size_t size);

/// Whether "cv", "cu" or "pi" in either case stands in text[end - 32, end): the words that announce
/// a verification code or a PIN. True when there are fewer than 32 bytes.
bool HasCodeBigram(const char* text, size_t end);

}  // namespace sallyport::mask
