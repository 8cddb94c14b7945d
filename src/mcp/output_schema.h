#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "json/document.h"
#include "mask/masker.h"

namespace sallyport::mcp {

/// Reads a JSON Schema (2020-12) for what a masked number should become at each place below `base`:
/// null if the schema has null, else a string if it has strings, else a surrogate number
/// (docs/masking.md). Whether the answer then keeps to the schema is checked on the answer
/// (fit_schema.h). References are followed inside the schema only, never to the network; depth,
/// steps and number of places are bounded.
void ReadOutputSchema(json::Value schema, std::string_view base,
                      std::vector<std::pair<std::string, mask::NumberPolicy>>& numbers);

}  // namespace sallyport::mcp
