#include "mask/pg_type.h"

#include <algorithm>
#include <initializer_list>

namespace sallyport::mask {
namespace {

std::string_view BaseName(std::string_view name) {  // "numeric(20,2)" -> "numeric"
  return name.substr(0, std::min(name.find('('), name.size()));
}

}  // namespace

PgFamily PgFamilyOf(std::string_view type) {
  if (type.ends_with("[]") || type == "anyarray" || type.starts_with("_")) return PgFamily::array;
  const std::string_view t = BaseName(type);
  const auto is = [&](std::initializer_list<std::string_view> names) {
    return std::ranges::find(names, t) != names.end();
  };
  if (is({"int8", "bigint", "int4", "integer", "int2", "smallint"})) return PgFamily::integer;
  if (is({"numeric", "decimal"})) return PgFamily::numeric;
  if (is({"float8", "float4", "double precision", "real"})) return PgFamily::float8;
  if (t == "money") return PgFamily::money;
  if (t.ends_with("range")) return PgFamily::range;
  if (t == "json") return PgFamily::json;
  if (t == "jsonb") return PgFamily::jsonb;
  if (t == "bytea") return PgFamily::bytea;
  if (t == "record") return PgFamily::record;
  if (t == "hstore") return PgFamily::hstore;
  if (is({"uuid",   "timestamptz",   "timestamp",   "date",     "time",    "timetz", "interval",
          "inet",   "cidr",          "macaddr",     "macaddr8", "bit",     "varbit", "bit varying",
          "pg_lsn", "txid_snapshot", "pg_snapshot", "point",    "box",     "line",   "lseg",
          "path",   "polygon",       "circle",      "bool",     "boolean", "oid",    "xid",
          "xid8",   "tid",           "void"}) ||
      t.starts_with("timestamp") || t.starts_with("time ")) {
    return PgFamily::skip;
  }
  return PgFamily::text;
}

std::string_view PgTypeOfOid(uint32_t oid) {
  switch (oid) {
    case 20:
      return "int8";
    case 21:
      return "int2";
    case 23:
      return "int4";
    case 700:
      return "float4";
    case 701:
      return "float8";
    case 1700:
      return "numeric";
    case 17:
      return "bytea";
    case 114:
      return "json";
    case 3802:
      return "jsonb";
    case 2249:
      return "record";
    case 2950:
      return "uuid";
    case 1114:
    case 1184:
      return "timestamptz";
    case 1082:
      return "date";
    case 16:
      return "bool";
    case 26:
      return "oid";
    case 1016:
      return "int8[]";
    case 1007:
      return "int4[]";
    case 1009:
    case 1015:
      return "text[]";
    case 1231:
      return "numeric[]";
    default:
      return "text";
  }
}

}  // namespace sallyport::mask
