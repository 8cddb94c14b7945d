#include "sql/catalog.h"

#include <algorithm>
#include <atomic>

namespace sallyport::sql {
namespace {

std::string Key(std::string_view schema, std::string_view name) {
  std::string key;
  key.reserve(schema.size() + 1 + name.size());
  key += schema;
  key += '\0';
  key += name;
  return key;
}

bool Knows(const std::vector<std::string>& path, std::string_view schema) {
  return std::ranges::find(path, schema) != path.end();
}

/// A value of a child is read through its parents and, being a row of the table, the other way
/// round: what one of them classifies, all classify.
bool Share(CatalogRelation& a, CatalogRelation& b) {
  bool changed = false;
  for (auto& x : a.columns) {
    for (auto& y : b.columns) {
      if (x.name != y.name || x.mask == y.mask) continue;
      if (x.classified() && y.classified()) continue;
      (x.classified() ? y : x).mask = x.classified() ? x.mask : y.mask;
      (x.detector.empty() ? x : y).detector = x.detector.empty() ? y.detector : x.detector;
      changed = true;
    }
  }
  return changed;
}

std::atomic<uint64_t> next_id{1};

}  // namespace

const CatalogColumn* CatalogRelation::Find(std::string_view column) const {
  auto at = std::ranges::find(columns, column, &CatalogColumn::name);
  return at == columns.end() ? nullptr : &*at;
}

Catalog::Catalog(Content content) : content_(std::move(content)), id_(next_id++) {
  auto& relations = content_.relations;
  for (size_t i = 0; i < relations.size(); ++i) {
    relations_.try_emplace(Key(relations[i].schema, relations[i].name), i);
    if (relations[i].oid != 0) oids_.try_emplace(relations[i].oid, i);
  }
  for (bool changed = true; changed;) {
    changed = false;
    for (auto& relation : relations) {
      for (uint32_t parent : relation.parents) {
        auto at = oids_.find(parent);
        if (at != oids_.end()) changed |= Share(relation, relations[at->second]);
      }
    }
  }
  for (auto& relation : relations) {
    relation.classified |= std::ranges::any_of(relation.columns, &CatalogColumn::classified);
    classifies_ |= relation.classified;
  }
  for (size_t i = 0; i < content_.functions.size(); ++i) {
    const auto& function = content_.functions[i];
    functions_.try_emplace(Key(function.schema, function.name), i);
    function_names_.insert(function.name);
  }
}

const CatalogRelation* Catalog::Find(std::string_view schema, std::string_view name) const {
  auto at = relations_.find(Key(schema, name));
  return at == relations_.end() ? nullptr : &content_.relations[at->second];
}

const CatalogRelation* Catalog::FindOid(uint32_t oid) const {
  auto at = oids_.find(oid);
  return at == oids_.end() ? nullptr : &content_.relations[at->second];
}

const CatalogRelation* Catalog::Resolve(std::string_view name,
                                        const std::vector<std::string>& search_path) const {
  if (!Knows(search_path, "pg_catalog")) {
    if (const auto* found = Find("pg_catalog", name)) return found;
  }
  for (const auto& schema : search_path) {
    if (const auto* found = Find(schema, name)) return found;
  }
  return nullptr;
}

const CatalogFunction* Catalog::FindFunction(std::string_view schema, std::string_view name) const {
  auto at = functions_.find(Key(schema, name));
  return at == functions_.end() ? nullptr : &content_.functions[at->second];
}

const CatalogFunction* Catalog::ResolveFunction(std::string_view name,
                                                const std::vector<std::string>& search_path) const {
  // Most calls are of PostgreSQL's own functions: one look says that no schema has such a name.
  if (!function_names_.contains(std::string(name))) return nullptr;
  const CatalogFunction* worst = nullptr;
  for (const auto& schema : search_path) {
    const auto* found = FindFunction(schema, name);
    // A better match of the arguments wins over the order of schemas: judged by the worst.
    if (found && (!worst || (found->touches_classified && !worst->touches_classified))) {
      worst = found;
    }
  }
  return worst;
}

}  // namespace sallyport::sql
