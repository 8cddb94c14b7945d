#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "json/document.h"
#include "op/operation.h"

namespace sallyport::sql {

/// Reads one statement of PostgreSQL's parse tree, as libpg_query writes it in JSON: `node` is the
/// object with one member, {"SelectStmt": {…}}. Total: what it does not know makes the statement
/// `admin`. Recursion is as deep as the JSON is nested, which its reader bounds.
/// nullopt: it names more relations (256), columns (5,000) or functions (1,000) than can be judged.
std::optional<op::SqlStatement> ReadStatement(json::Value node);

/// Whether a condition can leave rows out, as far as its text says: false for none, for constants
/// (`true`, `1 = 1`), for `x = x`, and for `… or` one of those.
bool CanRestrict(json::Value condition);

/// An identifier for op::RelationUse and the like: as it is, or in double quotes when it holds a
/// dot or a quote, so that "a.b" and a.b stay apart.
std::string Identifier(std::string_view name);

}  // namespace sallyport::sql
