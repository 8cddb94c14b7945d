#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "mask/masker.h"
#include "mcp/schema_check.h"

namespace sallyport::mcp {

/// Clients check `structuredContent` against the tool's outputSchema and throw the whole answer
/// away if it differs. So a masked value that does not keep to the schema takes another form: null,
/// asterisks of the value's own length, or for a card number digits that are none
/// (docs/masking.md). `original` and `masked` are the result before and after masking; `below` is
/// "" or, for the answer to tasks/get, "/result". mask_failed: no form fits, or nobody can tell.
Result<std::string> FitToSchema(const mask::Masker& masker, const SchemaCheck& schema,
                                std::string_view original, std::string masked,
                                std::string_view below);

}  // namespace sallyport::mcp
