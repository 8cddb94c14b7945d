#pragma once

#include <string>
#include <string_view>

namespace sallyport::mask {

/// The digits of the integer part of a decimal number as JSON and PostgreSQL write it ("4.11e15",
/// "-411.0"), exactly, without a sign and leading zeros. Empty when `text` is no such number or has
/// more than 40 digits.
std::string IntegerDigits(std::string_view text);

}  // namespace sallyport::mask
