#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "mask/regions.h"

namespace sallyport::mask {

/// The first look at a text: finds every place that the slow path could have a finding in, at
/// memory speed where there is none. Each 64 bytes become a few masks (scan_blocks.h); only where
/// those say so are runs of digits checked for length, issuer and check digit, groups of digits for
/// their shape, and other digits, escapes, blobs and words for SAD taken as they stand. Regions
/// come in order and do not overlap. `digits` counts the ASCII digits.
struct ScanResult {
  std::vector<Region> regions;
  size_t digits = 0;
};
void ScanText(std::string_view text, size_t from, ScanResult& result);

/// Where texts begin that stand together in one batch of blocks, each at a half of a block.
struct TextStarts {
  std::array<uint64_t, 2> halves{};  // one bit for each half
  uint64_t firsts = 1;               // one bit for each block with some of a text's first 64 bytes

  void Add(size_t half) {
    halves[half / 64] |= uint64_t(1) << half % 64;
    firsts |= uint64_t(1) << half / 2;
    if (half < 127) firsts |= uint64_t(1) << (half + 1) / 2;
  }
};
/// The same for such texts (CellScan). Appends to `regions`.
void ScanCells(std::string_view texts, const TextStarts& starts, std::vector<Region>& regions);

/// Whether there is any region; stops at the first one.
bool MayHoldCardData(std::string_view bytes);
/// The same for one JSON text, whose values may make up a number together.
bool MayHoldCardDataInJson(std::string_view json, bool& direct);

}  // namespace sallyport::mask
