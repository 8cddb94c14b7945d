#pragma once

#include <string>
#include <string_view>

#include "mask/clear.h"

namespace sallyport::mask {

/// As Masker::RevealJson, of a plain text that MaskText has masked.
bool RevealText(const Masker& masker, std::string_view text, const Context& context, Clear& clear,
                std::string& out);

}  // namespace sallyport::mask
