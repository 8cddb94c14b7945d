#include <algorithm>
#include <array>

#include "pg/row_mask.h"

namespace sallyport::pg {
namespace {

struct KnownType {
  uint32_t oid;
  std::string_view name;
};

/// pg_type.dat of PostgreSQL 15: scalar types with their arrays, sorted by OID.
constexpr auto kTypes = std::to_array<KnownType>({
    {16, "bool"},
    {17, "bytea"},
    {18, "char"},
    {19, "name"},
    {20, "int8"},
    {21, "int2"},
    {23, "int4"},
    {25, "text"},
    {26, "oid"},
    {27, "tid"},
    {28, "xid"},
    {29, "oid"},
    {114, "json"},
    {142, "xml"},
    {143, "xml[]"},
    {199, "json[]"},
    {600, "point"},
    {601, "lseg"},
    {602, "path"},
    {603, "box"},
    {604, "polygon"},
    {628, "line"},
    {650, "cidr"},
    {700, "float4"},
    {701, "float8"},
    {705, "text"},
    {718, "circle"},
    {774, "macaddr8"},
    {790, "money"},
    {829, "macaddr"},
    {869, "inet"},
    {1001, "bytea[]"},
    {1002, "text[]"},
    {1003, "text[]"},
    {1007, "int4[]"},
    {1009, "text[]"},
    {1014, "text[]"},
    {1015, "text[]"},
    {1016, "int8[]"},
    {1022, "float8[]"},
    {1042, "bpchar"},
    {1043, "varchar"},
    {1082, "date"},
    {1083, "time"},
    {1114, "timestamp"},
    {1184, "timestamptz"},
    {1186, "interval"},
    {1231, "numeric[]"},
    {1263, "text[]"},
    {1266, "timetz"},
    {1560, "bit"},
    {1562, "varbit"},
    {1700, "numeric"},
    {2205, "regclass"},
    {2249, "record"},
    {2278, "void"},
    {2950, "uuid"},
    {2970, "txid_snapshot"},
    {3220, "pg_lsn"},
    {3614, "tsvector"},
    {3615, "tsquery"},
    {3802, "jsonb"},
    {3807, "jsonb[]"},
    {3904, "int4range"},
    {3906, "numrange"},
    {3908, "tsrange"},
    {3910, "tstzrange"},
    {3912, "daterange"},
    {3926, "int8range"},
    {4451, "int4range"},
    {4532, "nummultirange"},
    {4536, "int8range"},
    {5038, "pg_snapshot"},
    {5069, "xid8"},
});
static_assert(std::ranges::is_sorted(kTypes, {}, &KnownType::oid));

}  // namespace

std::string_view TypeName(uint32_t oid) {
  const auto at = std::ranges::lower_bound(kTypes, oid, {}, &KnownType::oid);
  return at != kTypes.end() && at->oid == oid ? at->name : std::string_view();
}

}  // namespace sallyport::pg
