#pragma once

#include <string_view>

#include "op/operation.h"

namespace sallyport::sql {

struct Limits {
  size_t max_bytes = 256 << 10;  // the worst text of this size takes about 100 ms of one core
  size_t max_depth = 200;        // of expressions and sub-selects, as the parse tree nests them
};

/// Reads `text` with PostgreSQL's own grammar (libpg_query 15) and says what each statement does
/// and touches. Never fails: what the grammar cannot read, or what is beyond the limits, is one
/// text with no statements, `known.complete == false`, reason "sql-unparsable" and the worst
/// effect. Thread-safe.
op::SqlText Classify(std::string_view text, const Limits& limits = {});

}  // namespace sallyport::sql
