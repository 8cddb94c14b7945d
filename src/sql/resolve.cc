#include "sql/resolve.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "sql/tree.h"

namespace sallyport::sql {
namespace {

std::string Unquote(std::string_view name) {
  if (name.size() < 2 || name.front() != '"') return std::string(name);
  std::string out;
  name = name.substr(1, name.size() - 2);
  for (size_t i = 0; i < name.size(); ++i) {
    out += name[i];
    if (name[i] == '"') ++i;
  }
  return out;
}

/// {schema, name} of what Identifier() and a dot made.
std::pair<std::string, std::string> Split(std::string_view name) {
  bool quoted = false;
  size_t dot = std::string_view::npos;
  for (size_t i = 0; i < name.size(); ++i) {
    if (name[i] == '"') quoted = !quoted;
    if (name[i] == '.' && !quoted) dot = i;
  }
  if (dot == std::string_view::npos) return {{}, Unquote(name)};
  return {Unquote(name.substr(0, dot)), Unquote(name.substr(dot + 1))};
}

void ResolveFunctions(std::vector<std::string>& names, const Catalog& catalog,
                      const std::vector<std::string>& path) {
  if (catalog.content().functions.empty()) return;
  for (auto& text : names) {
    auto [schema, name] = Split(text);
    if (!schema.empty()) continue;
    if (const auto* function = catalog.ResolveFunction(name, path)) {
      text = Identifier(function->schema) + "." + Identifier(function->name);
    }
  }
}

/// `o.f` and `(o).f` call f(orders) where orders has no column f: what may be such a call counts as
/// one. A column that the text does not place may be of any of the relations.
void AddCallsOfColumns(op::SqlStatement& statement, const Reading& reading, const Catalog& catalog,
                       const std::vector<std::string>& path) {
  if (catalog.content().functions.empty()) return;
  for (const auto& text : statement.columns) {
    const auto [table, name] = Split(text);
    const auto* function = catalog.ResolveFunction(name, path);
    if (function == nullptr) continue;
    const auto has = [&name](const CatalogRelation* r) { return r != nullptr && r->Find(name); };
    bool column;
    if (table.empty()) {
      column = !reading.uses.empty() &&
               std::ranges::all_of(reading.uses, [&](const Use& use) { return has(use.relation); });
    } else {
      const auto [schema, relation] =
          Split(text.substr(0, text.size() - Identifier(name).size() - 1));
      column =
          has(schema.empty() ? catalog.Resolve(relation, path) : catalog.Find(schema, relation));
    }
    std::string called = Identifier(function->schema) + "." + Identifier(function->name);
    if (!column && std::ranges::find(statement.functions, called) == statement.functions.end())
      statement.functions.push_back(std::move(called));
  }
}

}  // namespace

void ResolveNames(op::SqlStatement& statement, const Reading& reading, const Catalog& catalog,
                  const std::vector<std::string>& search_path) {
  if (catalog.content().relations.empty()) return;
  std::vector<op::RelationUse> relations;
  for (auto& use : statement.relations) {
    auto [schema, name] = Split(use.name);
    const auto* found = schema.empty() ? catalog.Resolve(name, search_path) : nullptr;
    if (found) use.name = Identifier(found->schema) + "." + Identifier(found->name);
    auto at = std::ranges::find(relations, use.name, &op::RelationUse::name);
    if (at == relations.end()) {
      relations.push_back(std::move(use));
    } else {
      at->written |= use.written;
    }
  }
  statement.relations = std::move(relations);
  AddCallsOfColumns(statement, reading, catalog, search_path);
  for (const auto& call : reading.own_calls) statement.functions.push_back(call);
  ResolveFunctions(statement.functions, catalog, search_path);
  ResolveFunctions(statement.risky, catalog, search_path);
  bool all_known = std::ranges::all_of(
      reading.uses, [](const Use& use) { return use.relation && use.role != Use::Role::object; });
  if (all_known && !reading.uses.empty()) {
    statement.columns = reading.columns;
    statement.star = reading.star;
  } else {
    // Of relations that the catalog does not have, what the text alone says still counts.
    for (const auto& column : reading.columns) {
      if (std::ranges::find(statement.columns, column) == statement.columns.end())
        statement.columns.push_back(column);
    }
  }
}

}  // namespace sallyport::sql
