#include "pg/grants.h"

#include <algorithm>
#include <cctype>
#include <map>
#include <set>
#include <string>
#include <string_view>

#include "policy/glob.h"

namespace sallyport::pg {
namespace {

using sql::CatalogColumn;
using sql::CatalogRelation;

/// What one rule needs of the relations that it names.
struct Need {
  bool select = false, insert = false, update = false, remove = false;
  bool any() const { return select || insert || update || remove; }
};

bool Listed(const policy::SqlScope& scope, std::string_view kind) {
  if (scope.statements.empty()) return kind == "SELECT";
  return std::ranges::any_of(scope.statements, [&](std::string text) {
    std::ranges::transform(text, text.begin(), [](unsigned char c) { return std::toupper(c); });
    const auto glob = policy::Glob::Make(text);
    return glob && glob->Matches(kind);
  });
}

Need NeedOf(const policy::SqlScope& scope) {
  Need need;
  need.insert = Listed(scope, "INSERT") || Listed(scope, "COPY FROM") || Listed(scope, "MERGE");
  need.update =
      Listed(scope, "UPDATE") || Listed(scope, "MERGE") || Listed(scope, "SELECT FOR UPDATE");
  need.remove = Listed(scope, "DELETE") || Listed(scope, "MERGE");
  // A WHERE and a RETURNING read as well.
  need.select =
      Listed(scope, "SELECT") || Listed(scope, "COPY") || need.update || need.remove || need.insert;
  return need;
}

/// `pattern` as rules write it: without a schema it speaks of `public`.
bool Names(const std::string& pattern, const CatalogRelation& relation) {
  if (pattern == "*") return true;
  const size_t dot = pattern.rfind('.');
  const std::string schema = dot == std::string::npos ? "public" : pattern.substr(0, dot);
  const auto schema_glob = policy::Glob::Make(schema);
  const auto name_glob =
      policy::Glob::Make(dot == std::string::npos ? pattern : pattern.substr(dot + 1));
  return schema_glob && name_glob && schema_glob->Matches(relation.schema) &&
         name_glob->Matches(relation.name);
}

bool NamesColumn(const std::string& pattern, const CatalogRelation& relation,
                 const CatalogColumn& column) {
  const size_t dot = pattern.rfind('.');
  const auto glob =
      policy::Glob::Make(dot == std::string::npos ? pattern : pattern.substr(dot + 1));
  if (!glob || !glob->Matches(column.name)) return false;
  return dot == std::string::npos || Names(pattern.substr(0, dot), relation);
}

bool Shown(const policy::SqlScope& scope, const CatalogRelation& relation,
           const CatalogColumn& column) {
  if (column.mask == sql::SourceMask::null) return false;
  auto names = [&](const std::string& pattern) { return NamesColumn(pattern, relation, column); };
  if (std::ranges::any_of(scope.columns_deny, names)) return false;
  return scope.columns_allow.empty() || std::ranges::any_of(scope.columns_allow, names);
}

/// The system's own schemas are open to every role as far as they are meant to be.
bool IsSystem(const CatalogRelation& relation) {
  return relation.schema == "pg_catalog" || relation.schema == "information_schema" ||
         relation.schema.starts_with("pg_toast") || relation.schema.starts_with("pg_temp");
}

/// Grant::relation could not say which dot is which; without a grant the database refuses it.
bool IsOddlyNamed(const CatalogRelation& relation) {
  return relation.schema.find_first_of(".\"") != std::string::npos ||
         relation.name.find_first_of(".\"") != std::string::npos;
}

/// What one relation gets over all rules.
struct Collected {
  std::set<std::string> whole;    // privileges on all columns
  std::set<std::string> columns;  // may be read
};

void Collect(const policy::SqlScope& scope, const Need& need, const CatalogRelation& relation,
             Collected& out) {
  if (need.insert) out.whole.insert("INSERT");
  if (need.update) out.whole.insert("UPDATE");
  if (need.remove) out.whole.insert("DELETE");
  if (!need.select) return;
  size_t shown = 0;
  for (const CatalogColumn& column : relation.columns) {
    if (!Shown(scope, relation, column)) continue;
    out.columns.insert(column.name);
    ++shown;
  }
  if (shown == relation.columns.size()) out.whole.insert("SELECT");
}

}  // namespace

std::vector<Grant> GrantsFor(const std::vector<policy::SqlScope>& reach,
                             const sql::Catalog& catalog) {
  std::map<std::string, std::pair<const CatalogRelation*, Collected>> collected;
  for (const policy::SqlScope& scope : reach) {
    const Need need = NeedOf(scope);
    if (!need.any()) continue;
    for (const CatalogRelation& relation : catalog.content().relations) {
      if (IsSystem(relation) || IsOddlyNamed(relation)) continue;
      const bool named = scope.relations.empty() ||
                         std::ranges::any_of(scope.relations, [&](const std::string& pattern) {
                           return Names(pattern, relation);
                         });
      if (!named) continue;
      auto& entry = collected[relation.schema + "." + relation.name];
      entry.first = &relation;
      Collect(scope, need, relation, entry.second);
    }
  }
  std::vector<Grant> grants;
  for (const auto& [name, entry] : collected) {
    const Collected& what = entry.second;
    if (!what.whole.empty()) {
      grants.push_back({name, {what.whole.begin(), what.whole.end()}, {}});
    }
    if (!what.whole.contains("SELECT") && !what.columns.empty()) {
      grants.push_back({name, {"SELECT"}, {what.columns.begin(), what.columns.end()}});
    }
  }
  return grants;
}

}  // namespace sallyport::pg
