#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "mask/regions.h"

namespace sallyport::mask {

/// Regions for digits in other notations: a character outside ASCII at text[i] that folds to a
/// digit, or folds away or to a separator beside one.
void LookAtHigh(std::string_view text, size_t from, size_t i, Regions& regions);

/// Escapes, markup and exponents directly beside ASCII digits in text[base, base + 64). `behind`
/// are the bytes after a run of digits, `starts` the first bytes of one, one bit per byte.
void LookAtEdges(std::string_view text, size_t from, size_t base, uint64_t behind, uint64_t starts,
                 Regions& regions);

}  // namespace sallyport::mask
