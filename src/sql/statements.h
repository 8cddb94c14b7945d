#pragma once

#include <string_view>

#include "op/operation.h"

namespace sallyport::sql {

/// What a statement is, by the name of its node in PostgreSQL's parse tree ("DropStmt").
struct StatementKind {
  std::string_view kind;  // "DROP"
  op::Effect effect = op::Effect::admin;
  bool writes_relations = false;  // the relations that it names directly are changed
};

/// Statements that are not listed are `admin` with the kind "OTHER": nobody has thought about them.
StatementKind KindOfStatement(std::string_view node);

}  // namespace sallyport::sql
