#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace sallyport::policy {

/// A JSON number as it is written, exactly: no double is involved, so 9007199254740993 is not
/// 9007199254740992, and 1.0, 1 and 10e-1 are equal.
class Decimal {
 public:
  /// Reads the JSON number grammar (RFC 8259 section 6). nullopt: not a number, or an exponent of
  /// more than nine digits, which nobody writes in good faith.
  static std::optional<Decimal> Parse(std::string_view json_number);

  std::strong_ordering operator<=>(const Decimal& other) const;
  bool operator==(const Decimal& other) const {
    return (*this <=> other) == std::strong_ordering::equal;
  }

  /// Equal numbers have equal hashes, however they are written.
  size_t Hash() const;

 private:
  // The value is sign × 0.digits × 10^exponent; digits have no zero at either end, and are empty
  // for zero.
  bool negative_ = false;
  std::string digits_;
  int64_t exponent_ = 0;
};

}  // namespace sallyport::policy
