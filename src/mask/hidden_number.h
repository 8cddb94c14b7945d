#pragma once

#include <string_view>

#include "mask/masker.h"

namespace sallyport::mask {

/// True if a card number stands among the digits of an identifier, whatever stands beside it:
/// letters make it a word of its own for the detectors, but not for a reader. For identifiers of
/// others that are kept as they are (32 hexadecimal digits of a trace).
bool HidesNumber(const Masker& masker, std::string_view identifier);

}  // namespace sallyport::mask
