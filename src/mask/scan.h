#pragma once

#include <cstddef>
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

/// Whether there is any region; stops at the first one.
bool MayHoldCardData(std::string_view bytes);
/// The same for one JSON text, whose values may make up a number together.
bool MayHoldCardDataInJson(std::string_view json, bool& direct);

}  // namespace sallyport::mask
