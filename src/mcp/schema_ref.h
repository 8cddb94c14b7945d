#pragma once

#include <string_view>

#include "json/document.h"

namespace sallyport::mcp {

/// What a `$ref` names inside the schema itself ("#", "#/$defs/row"); missing if it leads anywhere
/// else.
json::Value ResolveSchemaRef(json::Value root, std::string_view ref);

}  // namespace sallyport::mcp
