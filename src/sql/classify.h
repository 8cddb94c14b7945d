#pragma once

#include <string_view>

#include "op/operation.h"

namespace sallyport::sql {

struct Limits {
  size_t max_bytes = 1 << 20;
  size_t max_depth = 200;  // of parentheses and operators, judged before the parser recurses
};

/// Reads `text` with PostgreSQL's own grammar (libpg_query 15) and says what each statement does
/// and touches. Never fails: what the grammar cannot read, or what is beyond the limits, is one
/// text with no statements, `known.complete == false`, reason "sql-unparsable" and the worst
/// effect. Thread-safe.
op::SqlText Classify(std::string_view text, const Limits& limits = {});

}  // namespace sallyport::sql
