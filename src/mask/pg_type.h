#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace sallyport::mask {

/// How values of a PostgreSQL type are looked into.
enum class PgFamily {
  skip,
  integer,
  numeric,
  float8,
  money,
  range,
  json,
  jsonb,
  bytea,
  record,
  hstore,
  text,
  array
};

/// By the name as format_type() gives it; `skip` for types that cannot hold a number. What is not
/// known is text.
PgFamily PgFamilyOf(std::string_view type);

/// The name of a built-in type by its OID (pg_type.dat), "text" for others. Static lifetime.
std::string_view PgTypeOfOid(uint32_t oid);

// Integers of the wire protocol, most significant byte first.
inline uint32_t Be32(std::string_view s, size_t i) {
  uint32_t v = 0;
  for (size_t k = i; k < i + 4; k++) v = v << 8 | uint8_t(s[k]);
  return v;
}
inline uint32_t Be16(std::string_view s, size_t i) {
  return uint32_t(uint8_t(s[i])) << 8 | uint8_t(s[i + 1]);
}
inline void PutBe(std::string& s, uint64_t v, int bytes) {
  for (int k = bytes - 1; k >= 0; k--) s += char(v >> (8 * k));
}

}  // namespace sallyport::mask
