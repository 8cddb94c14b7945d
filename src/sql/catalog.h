#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "sql/functions.h"

namespace sallyport::sql {

/// What the database itself puts in place of a classified value, so that no expression, predicate,
/// sort or aggregate ever sees the real one.
enum class SourceMask : uint8_t {
  none,   // not classified
  last4,  // every digit but those of the last four characters becomes '*'
  first6_last4,
  full,  // every digit becomes '*'
  null,  // NULL: sensitive authentication data, and types that have no masked form
};

/// One column of a relation, dropped ones left out.
struct CatalogColumn {
  std::string name;
  int16_t number = 0;     // attnum
  uint32_t type = 0;      // pg_type.oid
  std::string type_name;  // as format_type() gives it: "text", "numeric(20,2)"
  SourceMask mask = SourceMask::none;
  std::string detector;  // name of the detector that it is classified as; empty: not classified
  bool derived = false;  // of a view: computed from a classified column, not a copy of it
  bool classified() const { return mask != SourceMask::none; }
};

struct CatalogRelation {
  uint32_t oid = 0;
  std::string schema, name;
  char kind = 'r';  // pg_class.relkind: r p v m f S t
  std::vector<CatalogColumn> columns;
  std::vector<uint32_t> parents;  // inheritance and partitions: a child is read through these too
  bool classified = false;        // some column is, or one of its children's
  bool readable_by_rules_only = false;  // pg_stats and the like: shows values of other relations
  const CatalogColumn* Find(std::string_view column) const;
};

/// A function that is not PostgreSQL's own. One entry per name: overloads are judged together.
struct CatalogFunction {
  std::string schema, name;
  std::string language;   // "sql", "plpgsql", "c", …; "" when overloads differ
  char volatility = 'v';  // i s v, the worst of the overloads
  bool security_definer = false;
  bool touches_classified = true;  // unless its body was read and touches nothing classified
};

/// Ways of PostgreSQL to call a function that no statement names. Only such functions count here as
/// may read classified columns by themselves; those of language C are an extension's.
struct HiddenCalls {
  std::unordered_set<std::string> operators;  // by name, whatever they are between
  std::unordered_set<std::string> types;      // names of types: a cast from or to them calls one
  std::unordered_set<uint32_t> implicit;      // types of casts that nobody has to write
  /// The same of all such functions, whatever they read.
  std::unordered_set<std::string> own_operators{}, own_types{};
};

/// What a database holds, as far as judging a statement needs it: an immutable snapshot, shared by
/// all sessions of a connection and replaced as a whole. Thread-safe.
class Catalog {
 public:
  struct Content {
    std::vector<CatalogRelation> relations;
    std::vector<CatalogFunction> functions;
    HiddenCalls hidden;
    uint64_t epoch = 0;  // grows with each snapshot of one connection; part of every cache key
  };
  explicit Catalog(Content content);

  const CatalogRelation* Find(std::string_view schema, std::string_view name) const;
  const CatalogRelation* FindOid(uint32_t oid) const;
  /// The first match along `search_path`; pg_catalog comes first unless it is named.
  const CatalogRelation* Resolve(std::string_view name,
                                 const std::vector<std::string>& search_path) const;
  const CatalogFunction* FindFunction(std::string_view schema, std::string_view name) const;
  const CatalogFunction* ResolveFunction(std::string_view name,
                                         const std::vector<std::string>& search_path) const;
  bool classifies_anything() const { return classifies_; }
  uint64_t epoch() const { return content_.epoch; }
  /// Of this snapshot, different from that of every other snapshot of the process.
  uint64_t id() const { return id_; }
  const Content& content() const { return content_; }

 private:
  Content content_;
  std::unordered_map<std::string, size_t> relations_, functions_;  // "schema\0name"
  std::unordered_map<uint32_t, size_t> oids_;
  std::unordered_set<std::string> function_names_;
  uint64_t id_;
  bool classifies_ = false;
};

/// Reads the definition of a view (pg_get_viewdef) and says for each of its output columns, in
/// order, what it is: SourceMask and detector of the classified column that it copies, `derived`
/// with SourceMask::full where it computes something from one, SourceMask::null where even that is
/// not safe. Used by whoever builds a Catalog, views after what they read. False: the definition
/// could not be followed; then every column has to be treated as classified.
bool ClassifyView(std::string_view definition, const Catalog& so_far,
                  const std::vector<std::string>& search_path, std::vector<CatalogColumn>& columns);

}  // namespace sallyport::sql
