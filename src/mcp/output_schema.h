#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "json/document.h"
#include "mask/masker.h"

namespace sallyport::mcp {

/// Reads a JSON Schema (2020-12) for what a masked value may become at each place below `base`: a
/// number becomes null if the schema has null, else a string if it has strings, else a surrogate
/// number (docs/masking.md). `fragile` gets the places where none of this holds to the schema
/// (enum, const, pattern, format, an upper bound). References are followed inside the schema only,
/// never to the network, and depth and number of places are bounded; what lies beyond the bounds is
/// fragile.
void ReadOutputSchema(json::Value schema, std::string_view base,
                      std::vector<std::pair<std::string, mask::NumberPolicy>>& numbers,
                      std::vector<std::string>& fragile);

}  // namespace sallyport::mcp
