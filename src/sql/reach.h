#pragma once

#include <cstdint>
#include <string_view>

namespace sallyport::sql {

/// Whether a function reads what its arguments only name: it runs SQL text, reads tables, files,
/// pages or large objects by name or number, or another server. By the last part of its name, in
/// whatever schema it stands.
bool ReachesPastArguments(std::string_view function);

/// Whether a function of PostgreSQL writes out definitions (pg_get_indexdef …), which may quote
/// values that somebody put into them.
bool QuotesDefinitions(std::string_view function);

/// Whether `function` is one of PostgreSQL 15's own (pg_catalog), harmless or not.
bool IsBuiltin(std::string_view function);
/// Whether `symbol` is an operator of PostgreSQL 15.
bool IsBuiltinOperator(std::string_view symbol);

/// Whether `relation` is a table or view of pg_catalog.
bool IsBuiltinRelation(std::string_view relation);

/// Statements, by their nodes in the parse tree, that bring code into the database, which may then
/// read anything, or that copy tables elsewhere as they are.
bool BringsCode(std::string_view node);

/// What a column of PostgreSQL's own catalog may hold of other relations' values.
enum class RawValues : uint8_t {
  none,
  quoted,  // a text that may quote them: statements, definitions
  values,  // samples of them
};
/// `schema` and `relation` as the catalog names them; pg_stat_statements in any schema.
RawValues RawColumn(std::string_view schema, std::string_view relation, std::string_view column);
/// The worst of its columns, for a relation of pg_catalog or information_schema.
RawValues RawRelation(std::string_view relation);

}  // namespace sallyport::sql
