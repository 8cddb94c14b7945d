#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "json/document.h"
#include "op/mask_count.h"
#include "op/masked.h"
#include "op/unmask.h"

namespace sallyport::op {

/// What an operation does, worst effect first in severity: the most consequential one, not the verb that the
/// caller typed.
enum class Effect : uint8_t { none, read, call, write, ddl, admin };

/// The kind of thing an operation addresses.
enum class Verb : uint8_t {
  protocol,      // initialize, discover, ping, logging level: no upstream data
  list,          // a list of tools, prompts, resources, templates: filtered, never refused
  tool_call,
  prompt_get,
  resource_read,
  resource_subscribe,
  completion,
  sql,           // a statement on the wire
};

/// "We could not tell" is a value of its own (invariant I3): a partial reading is never "touches nothing".
struct Completeness {
  bool complete = true;
  std::string reason;  // of being partial, e.g. "sql-unparsable"
};

/// A relation as the statement names it, resolved as far as the text alone allows: "schema.name", or "name"
/// where no schema is written.
struct RelationUse {
  std::string name;
  bool written = false;  // target of INSERT, UPDATE, DELETE, MERGE, TRUNCATE, DDL
};

/// One SQL statement, read from its parse tree.
struct SqlStatement {
  std::string kind;  // "SELECT", "INSERT", "UPDATE", "DELETE", "DROP", "SET", "SHOW", "COPY", …
  Effect effect = Effect::admin;
  std::vector<RelationUse> relations;
  std::vector<std::string> columns;    // as written, "relation.column" where the text says which
  /// "operator @@", "cast of t": of one that somebody made, where the catalog says so.
  std::vector<std::string> functions;
  bool missing_where = false;  // UPDATE or DELETE without a WHERE that can be false
  bool unbounded = false;      // a SELECT from a relation without WHERE and without LIMIT
  bool star = false;           // selects * from some relation
  std::vector<std::string> nested;  // kinds of the data-changing statements inside (CTEs, EXPLAIN ANALYZE)
  std::vector<std::string> risky;   // of `functions`: with side effects, or not known to be free of them
};

/// Every statement of one text. Empty and incomplete when the grammar cannot read it.
struct SqlText {
  std::vector<SqlStatement> statements;
  Completeness known;
  Effect worst = Effect::admin;
};

/// A statement and its parameters as the client sent them, for an approval to bind: views, read only
/// when a rule asks for approval. They may hold card numbers.
struct ExactSql {
  std::string_view text;
  std::span<const int16_t> formats;          // none (text), one for all, or one each
  std::span<const std::string_view> values;
  const std::vector<bool>* nulls = nullptr;  // beside `values`
  std::span<const uint32_t> types;           // may be shorter than `values`
  std::string context;  // texts behind the names that `text` uses (EXECUTE, FETCH); mostly empty
};

/// What is asked, in no protocol's words. Views stay valid until the permit for it is settled.
struct Operation {
  Verb verb = Verb::protocol;
  Effect effect = Effect::none;
  std::string_view method;       // of the protocol, e.g. "tools/call"
  std::string_view connection;
  const std::map<std::string, std::string>* labels = nullptr;  // of the connection
  std::string_view resource;     // tool, prompt, URI or database
  std::string_view trace;        // trace id that what caused it carries too (base/trace.h); empty: none
  json::Value arguments;         // missing where there are none
  json::Value exact_answers;     // of MCP: inputResponses, part of what goes upstream
  ExactSql exact_sql;            // of verb sql
  std::vector<SqlText> sql;      // of the arguments named by sql_arguments
  /// Of verb sql: the statement on the wire, shared by all that ask for it again; then `sql` is empty.
  std::shared_ptr<const SqlText> statement;
  Completeness known;
  /// What the front-end found that no rule can permit (it cannot be masked soundly, it would change
  /// what later statements mean): a verdict of allow or approve becomes deny for this reason.
  std::optional<Error> objection;
  /// Values that the caller asks to see in clear; null (nearly always): none. Lives as long as the views.
  const UnmaskAsk* unmask = nullptr;
  MaskedText recorded_arguments; // what the log keeps of them
  uint64_t argument_bytes = 0;   // of the masked arguments before any cut
  bool recorded_complete = true; // false: cut at the recording limit
  std::vector<MaskCount> masked; // what had to be masked in them
};

}  // namespace sallyport::op
