#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "json/document.h"
#include "op/operation.h"

namespace sallyport::config {

/// The steps of a `sql_arguments` path: {"list", "0", "sql"} of `$.list[0].sql`; `*` for every
/// element. nullopt: another part of JSONPath, which names no one place.
std::optional<std::vector<std::string>> SplitSqlPath(std::string_view path);

/// Classifies every SQL text at `path` in `arguments`. What stands there and is not text, and what
/// stands on the way and is of another shape than the path ({"q": "…"} for $.q.sql), is an
/// incomplete reading (sql-unparsable); what is not there adds nothing.
void ReadSqlAt(json::Value arguments, const std::vector<std::string>& path,
               std::vector<op::SqlText>& out);
/// The same with another reader of texts than sql::Classify.
using SqlReader = std::function<op::SqlText(std::string_view text)>;
void ReadSqlAt(json::Value arguments, const std::vector<std::string>& path, const SqlReader& read,
               std::vector<op::SqlText>& out);

}  // namespace sallyport::config
