#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "op/operation.h"
#include "policy/glob.h"
#include "policy/rules.h"

namespace sallyport::policy {

/// A pattern over "schema.name". Without a dot it speaks of the schema `public`; `*` alone of
/// everything.
///
/// A statement may leave the schema out. It is then read as PostgreSQL's default search path reads
/// it: names that begin with pg_ stand in pg_catalog, others in public. A rule that denies also
/// takes an unqualified name for the one it means when the table name is written out in the
/// pattern, because a role may have another search path.
class RelationPattern {
 public:
  static Result<RelationPattern> Make(std::string_view pattern);
  bool Grants(std::string_view relation) const;
  bool Triggers(std::string_view relation) const;

 private:
  friend class ColumnPattern;
  bool everything_ = false;
  Glob schema_, name_;
};

/// A pattern over "schema.table.column", "table.column" (in public) or "column" (of any table).
class ColumnPattern {
 public:
  static Result<ColumnPattern> Make(std::string_view pattern);
  /// The statement surely names no other column than this one by `column`.
  bool Grants(const op::SqlStatement& statement, std::string_view column) const;
  /// The statement may read or write such a column: by name, by `*`, or without saying of which
  /// table.
  bool Touched(const op::SqlStatement& statement) const;

 private:
  bool Has(std::string_view relation) const { return !table_ || table_->Triggers(relation); }
  std::optional<RelationPattern> table_;
  Glob column_;
};

/// What stands against a statement; `item` says which relation, function or kind, and lives as long
/// as the statement. For people: never contains literals.
struct SqlObjection {
  enum class Why : uint8_t {
    none,
    kind_not_listed,
    effect_needs_scope,  // more than reading, and the rule has no sql part or names no statements
    function_unknown,    // side effects, or not known to have none, and not allowed by name
    function_denied,
    relation_not_listed,
    column_not_listed,
    column_denied,
    where_missing,
    unbounded_differs,
  };
  Why why = Why::none;
  std::string_view item;
  explicit operator bool() const { return why != Why::none; }
};

/// "the statement DROP is not listed". Ends without a full stop.
std::string Describe(const SqlObjection& objection);

/// The `sql` part of a rule, compiled. Immutable, thread-safe.
class SqlConditions {
 public:
  /// config_invalid: a bad pattern.
  static Result<SqlConditions> Make(const SqlScope& scope);

  /// For rules that let through: whether all of `statement` is covered.
  SqlObjection Grants(const op::SqlStatement& statement) const;
  /// For rules that hold back: whether any part of `statement` is what the rule speaks of. `narrow`
  /// (deny rules) also looks at columns and functions.
  bool Triggers(const op::SqlStatement& statement, bool narrow) const;

  uint64_t max_rows() const { return max_rows_; }

 private:
  bool Listed(std::string_view kind) const;
  SqlObjection GrantsColumns(const op::SqlStatement& statement) const;
  bool TriggersKind(const op::SqlStatement& statement) const;
  bool TriggersTouch(const op::SqlStatement& statement) const;

  std::vector<Glob> statements_, functions_allow_, functions_deny_;
  std::vector<RelationPattern> relations_;
  std::vector<ColumnPattern> columns_allow_, columns_deny_;
  std::optional<bool> require_where_, unbounded_;
  uint64_t max_rows_ = 0;
};

/// What an allow rule without a `sql` part covers: statements that only read, with functions known
/// to be harmless.
SqlObjection GrantsReading(const op::SqlStatement& statement);

}  // namespace sallyport::policy
