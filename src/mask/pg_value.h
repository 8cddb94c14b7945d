#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "mask/impl.h"

namespace sallyport::mask {

/// A PostgreSQL value as it stands in a DataRow: a type name as format_type() gives it ("int8",
/// "numeric(20,2)", "text[]") and the format code.
struct PgType {
  std::string_view name;
  bool binary = false;
};

/// The value after masking. Types of fixed length keep it; integers, numeric and float8 become a
/// surrogate (first digit 7, fails Luhn), what has no surrogate becomes NULL.
struct PgMasked {
  std::optional<std::string> bytes;  // nullopt: NULL
  Found found;
  bool in_place =
      false;  // `found` has positions and edits in the value's own text; otherwise the whole value
};

/// nullopt: nothing was found. Types that cannot hold a number (uuid, timestamptz, inet, …) are not
/// looked into.
std::optional<PgMasked> MaskPgValue(const Masker::Impl& impl, const PgType& type,
                                    std::string_view value, const Context& context);

/// One COPY … (FORMAT binary) stream with its header, as MaskPgValue for fields of unknown type.
std::optional<PgMasked> MaskPgBinaryCopy(const Masker::Impl& impl, std::string_view stream,
                                         const Context& context);

}  // namespace sallyport::mask
