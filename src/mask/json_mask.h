#pragma once

#include <string_view>

#include "mask/impl.h"

namespace sallyport::mask {

/// As Masker::MaskJson, giving positions and edits. `string_depth` counts the JSON texts around
/// this one. `tally` may be null.
Result<void> FindInJson(const Masker::Impl& impl, std::string_view json, const JsonOptions& options,
                        int depth, int string_depth, Found& found, Tally* tally = nullptr,
                        bool direct = true);

}  // namespace sallyport::mask
