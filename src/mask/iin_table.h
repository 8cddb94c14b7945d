#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace sallyport::mask {

/// Ranges of issuer identification numbers (ISO/IEC 7812) by network with the lengths in use.
/// Merged from the networks' public documents; where sources disagree the wider range is listed. It
/// is a table of ranges, not a list of banks, and it has a version because a finding is only as
/// good as the table behind it.
inline constexpr std::string_view kIinTableVersion = "2026-11-21.1";

/// How much a match says without other evidence.
enum class Trust : uint8_t {
  strong,   // flagged on its own
  medium,   // flagged unless the text names another kind of number ("order", "id")
  weak,     // flagged with a card word near, or when the number is all there is
  context,  // flagged with a card word near only
};

struct IinMatch {
  std::string_view network;  // static
  Trust trust = Trust::strong;
  bool luhn_optional = false;  // issuers of this network exist that do not use the check digit
};

/// `digits` are values 0…9. The match of the narrowest range that allows `length` digits.
std::optional<IinMatch> LookUpIin(const uint8_t* digits, int length);

/// Bit n - 12 is set when some network issues numbers of n digits (12…19) under these four digits.
/// Never misses what LookUpIin finds; for a first look.
extern const uint8_t* const kLengthsOfPrefix4;

/// ISO/IEC 7812-1 annex B.
bool LuhnOk(const uint8_t* digits, int length);

}  // namespace sallyport::mask
