#include "pg/catalog_queries.h"

#include <charconv>
#include <memory>
#include <openssl/evp.h>

#include "pg/server_query.h"

namespace sallyport::pg {
namespace {

constexpr std::chrono::seconds kLimit{60};
constexpr int kSqlBodies = 14;  // the major version that has pg_get_function_sqlbody

// One letter in front says what a row is. With an empty search_path, definitions and types come
// with the schemas of everything that is not PostgreSQL's own. Objects of temporary schemas belong
// to one session and are left out. 16384: FirstNormalObjectId, where what users made begins.

constexpr std::string_view kBegin = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;";
constexpr std::string_view kLeave = "ROLLBACK";
// In a transaction of somebody's own, which is left as it was.
constexpr std::string_view kSave = "SAVEPOINT sallyport_catalog;";
constexpr std::string_view kRestore =
    "ROLLBACK TO SAVEPOINT sallyport_catalog; RELEASE SAVEPOINT sallyport_catalog";

constexpr std::string_view kSettings =
    "SET LOCAL search_path = ''; SET LOCAL quote_all_identifiers = off;";

constexpr std::string_view kRelations =
    "SELECT 'R', c.oid, n.nspname, c.relname, c.relkind"
    " FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
    " WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S', 't')"
    " AND (c.relpersistence <> 't' OR c.relnamespace = pg_my_temp_schema())"
    " ORDER BY c.oid;";

constexpr std::string_view kColumns =
    "SELECT 'A', a.attrelid, a.attnum, a.attname, a.atttypid, a.atttypmod"
    " FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid"
    " WHERE a.attnum > 0 AND NOT a.attisdropped"
    " AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')"
    " AND (c.relpersistence <> 't' OR c.relnamespace = pg_my_temp_schema())"
    " ORDER BY a.attrelid, a.attnum;";

constexpr std::string_view kTypes =
    "SELECT 'T', t.oid, d.atttypmod, format_type(t.oid, d.atttypmod), t.typcategory"
    " FROM (SELECT DISTINCT atttypid, atttypmod FROM pg_attribute WHERE attnum > 0) d"
    " JOIN pg_type t ON t.oid = d.atttypid ORDER BY t.oid, d.atttypmod;";

constexpr std::string_view kInheritance =
    "SELECT 'I', inhrelid, inhparent FROM pg_inherits ORDER BY inhrelid, inhseqno;";

constexpr std::string_view kViews =
    "SELECT 'V', c.oid, pg_get_viewdef(c.oid)"
    " FROM pg_class c WHERE c.relkind IN ('v', 'm') AND c.oid >= 16384"
    " AND (c.relpersistence <> 't' OR c.relnamespace = pg_my_temp_schema())"
    " ORDER BY c.oid;"
    "SELECT DISTINCT 'U', r.ev_class, d.refobjid"
    " FROM pg_rewrite r JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass"
    "  AND d.objid = r.oid AND d.refclassid = 'pg_class'::regclass"
    " WHERE r.ev_class >= 16384 AND r.ev_type <> '1' AND r.is_instead"
    "  AND d.refobjid <> r.ev_class"
    "  AND r.ev_action::text ~ ':returningList \\(' ORDER BY 2, 3;";

constexpr std::string_view kGenerated =
    "SELECT 'G', a.attrelid, a.attnum, (d.refclassid = 'pg_proc'::regclass)::int,"
    " d.refobjid, d.refobjsubid"
    " FROM pg_attribute a"
    " JOIN pg_attrdef e ON e.adrelid = a.attrelid AND e.adnum = a.attnum"
    " JOIN pg_depend d ON (d.classid = 'pg_attrdef'::regclass AND d.objid = e.oid)"
    "  OR (d.classid = 'pg_class'::regclass AND d.objid = a.attrelid AND d.objsubid = a.attnum)"
    " WHERE a.attgenerated <> '' AND (d.refclassid = 'pg_proc'::regclass"
    "  OR (d.refclassid = 'pg_class'::regclass AND d.refobjid = a.attrelid"
    "   AND d.refobjsubid NOT IN (0, a.attnum))) ORDER BY 2, 3, 4, 5, 6;";

// Functions that users made, by what runs them; relations that rules and policies read.
constexpr std::string_view kActions =
    "SELECT 'X', tgrelid, tgfoid, 0, 0, 0 FROM pg_trigger"
    " WHERE NOT tgisinternal AND tgfoid >= 16384"
    " UNION SELECT 'X', p.polrelid, f.oid, c.oid, 0, 0 FROM pg_policy p"
    " JOIN pg_depend d ON d.classid = 'pg_policy'::regclass AND d.objid = p.oid"
    " LEFT JOIN pg_proc f ON d.refclassid = 'pg_proc'::regclass AND f.oid = d.refobjid"
    " LEFT JOIN pg_class c ON d.refclassid = 'pg_class'::regclass AND c.oid = d.refobjid"
    "  AND c.oid <> p.polrelid WHERE f.oid >= 16384 OR c.oid >= 16384"
    " UNION SELECT 'X', r.ev_class, f.oid, c.oid, 0,"
    "  (r.ev_action::text ~ ':commandType 1 ')::int FROM pg_rewrite r"
    " JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid"
    " LEFT JOIN pg_proc f ON d.refclassid = 'pg_proc'::regclass AND f.oid = d.refobjid"
    " LEFT JOIN pg_class c ON d.refclassid = 'pg_class'::regclass AND c.oid = d.refobjid"
    "  AND c.oid <> r.ev_class"
    " WHERE r.ev_type <> '1' AND (f.oid >= 16384 OR c.oid >= 16384)"
    " UNION SELECT 'X', a.adrelid, d.refobjid, 0, a.adnum, 0 FROM pg_attrdef a"
    " JOIN pg_depend d ON d.classid = 'pg_attrdef'::regclass AND d.objid = a.oid"
    " WHERE d.refclassid = 'pg_proc'::regclass AND d.refobjid >= 16384"
    " UNION SELECT 'X', k.conrelid, d.refobjid, 0, 0, 0 FROM pg_constraint k"
    " JOIN pg_depend d ON d.classid = 'pg_constraint'::regclass AND d.objid = k.oid"
    " WHERE k.conrelid <> 0 AND d.refclassid = 'pg_proc'::regclass AND d.refobjid >= 16384"
    " UNION SELECT 'X', i.indrelid, d.refobjid, 0, 0, 0 FROM pg_index i"
    " JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = i.indexrelid"
    " WHERE d.refclassid = 'pg_proc'::regclass AND d.refobjid >= 16384"
    " ORDER BY 2, 3, 4, 5, 6;";

constexpr std::string_view kForeign =
    "SELECT 'F', f.ftrelid, o.option_name, o.option_value"
    " FROM pg_foreign_table f, pg_options_to_table(f.ftoptions) o"
    " WHERE o.option_name IN ('schema_name', 'schema', 'table_name', 'table') ORDER BY 2, 3;"
    "SELECT 'C', a.attrelid, a.attnum, o.option_value"
    " FROM pg_attribute a, pg_options_to_table(a.attfdwoptions) o"
    " WHERE a.attfdwoptions IS NOT NULL AND o.option_name = 'column_name' ORDER BY 2, 3;";

constexpr std::string_view kHiddenCalls =
    "SELECT 'O', oprname, oprcode::oid FROM pg_operator WHERE oid >= 16384 ORDER BY oid;"
    "SELECT 'K', castsource, casttarget, castfunc, s.typname, t.typname,"
    " (castcontext <> 'e')::int FROM pg_cast"
    " JOIN pg_type s ON s.oid = castsource JOIN pg_type t ON t.oid = casttarget"
    " WHERE pg_cast.oid >= 16384 AND castfunc >= 16384 ORDER BY pg_cast.oid;";

std::string FunctionsQuery(bool has_sql_bodies) {
  return std::string(
             "SELECT 'P', p.oid, n.nspname, p.proname, l.lanname, p.provolatile,"
             " p.prosecdef::int, CASE WHEN l.lanname IN ('sql', 'plpgsql') THEN coalesce(") +
         (has_sql_bodies ? "pg_get_function_sqlbody(p.oid), " : "") +
         "p.prosrc) END"
         " FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace"
         " JOIN pg_language l ON l.oid = p.prolang WHERE p.oid >= 16384"
         " AND n.nspname !~ '^pg_temp' ORDER BY p.oid;";
}

uint32_t Oid(std::string_view text) {
  uint32_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

int32_t Integer(std::string_view text) {
  int32_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

/// The statements in a body that pg_get_function_sqlbody wrote out, or that is text.
std::string Statements(std::string_view body) {
  constexpr std::string_view kAtomic = "BEGIN ATOMIC", kReturn = "RETURN ", kEnd = "END";
  if (body.starts_with(kAtomic) && body.ends_with(kEnd))
    return std::string(body.substr(kAtomic.size(), body.size() - kAtomic.size() - kEnd.size()));
  if (body.starts_with(kReturn)) return "SELECT " + std::string(body.substr(kReturn.size()));
  return std::string(body);
}

/// Digests rows: the same digest, the same catalog.
class RowDigest {
 public:
  RowDigest() : context_(EVP_MD_CTX_new(), EVP_MD_CTX_free) {
    if (!context_ || EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr) != 1)
      throw std::bad_alloc();
  }
  void Take(const RowView& row) {
    for (const auto& field : row) {
      const uint32_t size = field ? static_cast<uint32_t>(field->size()) : ~uint32_t{0};
      EVP_DigestUpdate(context_.get(), &size, sizeof size);
      if (field) EVP_DigestUpdate(context_.get(), field->data(), field->size());
    }
  }
  std::string Finish() {
    std::string out(EVP_MAX_MD_SIZE, '\0');
    unsigned int size = 0;
    EVP_DigestFinal_ex(context_.get(), reinterpret_cast<unsigned char*>(out.data()), &size);
    out.resize(size);
    return out;
  }

 private:
  std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context_;
};

/// Takes the rows of all queries, in the order in which they are asked.
class RowTaker {
 public:
  explicit RowTaker(DatabaseCatalog& out) : out_(out) {}

  void Take(const RowView& row) {
    if (row.empty() || !row[0] || row[0]->size() != 1) return;
    row_ = &row;
    switch ((*row[0])[0]) {
      case 'T':
        types_[{Oid(At(1)), Integer(At(2))}] = At(3);
        if (At(4) == "S") out_.text_types.insert(Oid(At(1)));
        return;
      case 'R':
        return Relation();
      case 'A':
        return Column();
      case 'I':
        if (auto* child = Find(1)) child->parents.push_back(Oid(At(2)));
        return;
      case 'V':
        out_.views.push_back({Oid(At(1)), std::string(At(2))});
        return;
      case 'U':
        out_.rules.emplace_back(Oid(At(1)), Oid(At(2)));
        return;
      case 'G':
        return Generated();
      case 'X':
        out_.actions.push_back({Oid(At(1)), Oid(At(2)), Oid(At(3)), Number(4), At(5) == "1"});
        return;
      case 'F': {
        auto& foreign = out_.foreign[Oid(At(1))];
        (At(2).starts_with("schema") ? foreign.schema : foreign.table) = At(3);
        return;
      }
      case 'C':
        out_.foreign[Oid(At(1))].columns[Number(2)] = At(3);
        return;
      case 'P':
        return Function();
      case 'O':
        out_.operators.push_back({.name = std::string(At(1)), .function = Oid(At(2))});
        return;
      case 'K':
        out_.casts.push_back({.source = Oid(At(1)),
                              .target = Oid(At(2)),
                              .function = Oid(At(3)),
                              .source_name = std::string(At(4)),
                              .target_name = std::string(At(5)),
                              .implicit = At(6) == "1"});
        return;
      default:
        return;
    }
  }

 private:
  std::string_view At(size_t i) const {
    return i < row_->size() ? (*row_)[i].value_or(std::string_view()) : std::string_view();
  }
  int16_t Number(size_t i) const { return static_cast<int16_t>(Integer(At(i))); }
  sql::CatalogRelation* Find(size_t i) {
    const auto at = out_.by_oid.find(Oid(At(i)));
    return at == out_.by_oid.end() ? nullptr : &out_.relations[at->second];
  }

  void Relation() {
    sql::CatalogRelation relation;
    relation.oid = Oid(At(1)), relation.schema = At(2), relation.name = At(3);
    relation.kind = At(4).empty() ? 'r' : At(4)[0];
    out_.by_oid[relation.oid] = out_.relations.size();
    out_.relations.push_back(std::move(relation));
  }
  void Column() {
    auto* relation = Find(1);
    if (relation == nullptr) return;
    sql::CatalogColumn column;
    column.number = Number(2), column.name = At(3), column.type = Oid(At(4));
    const auto type = types_.find({column.type, Integer(At(5))});
    if (type != types_.end()) column.type_name = type->second;
    relation->columns.push_back(std::move(column));
  }
  void Generated() {
    DatabaseCatalog::Generated generated;
    generated.column = {Oid(At(1)), Number(2)};
    if (At(3) == "1") {
      generated.function = Oid(At(4));
    } else {
      generated.from = {Oid(At(4)), Number(5)};
    }
    out_.generated.push_back(generated);
  }
  void Function() {
    DatabaseFunction function;
    function.oid = Oid(At(1));
    function.function.schema = At(2), function.function.name = At(3);
    function.function.language = At(4);
    function.function.volatility = At(5).empty() ? 'v' : At(5)[0];
    function.function.security_definer = At(6) == "1";
    function.body = function.function.language == "sql" ? Statements(At(7)) : std::string(At(7));
    out_.functions.push_back(std::move(function));
  }

  DatabaseCatalog& out_;
  const RowView* row_ = nullptr;
  std::map<std::pair<uint32_t, int32_t>, std::string> types_;
};

int MajorVersion(const Server& server) {
  const std::string* version = server.Parameter("server_version");
  return version == nullptr ? 0 : Integer(*version);
}

}  // namespace

Task<DatabaseCatalog> ReadDatabase(Server& server) {
  SALLYPORT_CO_TRY(const char status, co_await TransactionStatus(server, kLimit));
  if (status != 'I' && status != 'T')
    co_return Fail(Errc::upstream_protocol, "the catalog is not read in a failed transaction");
  const bool inside = status == 'T';
  const std::string_view end = inside ? kRestore : kLeave;

  DatabaseCatalog database;
  RowTaker taker(database);
  RowDigest digest;
  std::string sql(inside ? kSave : kBegin);
  for (const std::string_view query : {kSettings, kTypes, kRelations, kColumns, kInheritance,
                                       kViews, kGenerated, kActions, kForeign, kHiddenCalls})
    sql += query;
  sql += FunctionsQuery(MajorVersion(server) >= kSqlBodies);
  sql += end;
  auto read = co_await QueryEach(server, std::move(sql), kLimit, [&](const RowView& row) {
    digest.Take(row);
    taker.Take(row);
  });
  if (!read) {
    if (!server.stream->closed())
      (void)co_await QueryEach(server, std::string(end), kLimit, [](const RowView&) {});
    co_return std::unexpected(std::move(read.error()));
  }
  database.digest = digest.Finish();
  co_return database;
}

}  // namespace sallyport::pg
