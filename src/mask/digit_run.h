#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "mask/regions.h"

namespace sallyport::mask {

/// Issuer, length and check digit of consecutive digit values; a network whose numbers may lack the
/// check digit needs its word in the 96 bytes before text[at].
bool PlausibleNumber(const uint8_t* digits, int n, std::string_view text, size_t at);

/// Looks at one unbroken run of at least twelve ASCII digits text[begin, end) and adds a region
/// when it is a plausible card number, read forwards or backwards, or a record that holds one
/// (expiry behind it, track, EMV, ISO 8583). Most runs fail at the table of issuers or the check
/// digit, which take a few nanoseconds. Bytes before `from` are not part of the text.
void LookAtRun(std::string_view text, size_t from, size_t begin, size_t end, Regions& regions);

}  // namespace sallyport::mask
