#include "policy/sql_match.h"

#include <algorithm>
#include <cctype>

namespace sallyport::policy {
namespace {

using Why = SqlObjection::Why;

/// Splits at the last dot that is not inside double quotes: {"public", "a.b"} of `public."a.b"`.
std::pair<std::string_view, std::string_view> SplitLast(std::string_view name) {
  bool quoted = false;
  size_t dot = std::string_view::npos;
  for (size_t i = 0; i < name.size(); ++i) {
    if (name[i] == '"') quoted = !quoted;
    if (name[i] == '.' && !quoted) dot = i;
  }
  if (dot == std::string_view::npos) return {{}, name};
  return {name.substr(0, dot), name.substr(dot + 1)};
}

/// Where PostgreSQL finds a name without a schema: pg_catalog is searched first, and all its
/// relations begin with pg_.
std::string_view DefaultSchema(std::string_view name) {
  return name.starts_with("pg_") ? "pg_catalog" : "public";
}

/// Kinds that read, whatever their functions do.
bool OnlyReads(std::string_view kind) {
  return kind == "SELECT" || kind == "SHOW" || kind == "EXPLAIN";
}

/// BEGIN, COMMIT, SAVEPOINT …: whoever may use a connection at all may frame what he does there.
bool TouchesNothing(const op::SqlStatement& statement) {
  return statement.effect == op::Effect::none && statement.relations.empty() &&
         statement.functions.empty() && statement.nested.empty();
}

std::string Upper(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return out;
}

bool AnyMatches(const std::vector<Glob>& globs, std::string_view text) {
  return std::ranges::any_of(globs, [&](const Glob& g) { return g.Matches(text); });
}

/// A function may be written with its schema; patterns may leave it out.
bool FunctionMatches(const std::vector<Glob>& globs, std::string_view function) {
  return AnyMatches(globs, function) || AnyMatches(globs, SplitLast(function).second);
}

/// For rules that let through: "evil.lower" is not the "lower" that was meant.
bool FunctionGranted(const std::vector<Glob>& globs, std::string_view function) {
  auto [schema, name] = SplitLast(function);
  if (schema.empty() || schema == "pg_catalog")
    return AnyMatches(globs, name) || AnyMatches(globs, function);
  return AnyMatches(globs, function);
}

template <class T>
Result<std::vector<T>> MakeAll(const std::vector<std::string>& texts, std::string_view what) {
  std::vector<T> out;
  for (const auto& text : texts) {
    auto made = T::Make(text);
    if (!made) {
      return Fail(Errc::config_invalid,
                  std::string(what) + " \"" + text + "\": " + made.error().detail);
    }
    out.push_back(std::move(*made));
  }
  return out;
}

}  // namespace

Result<RelationPattern> RelationPattern::Make(std::string_view text) {
  RelationPattern pattern;
  pattern.everything_ = text == "*";
  auto [schema, name] = SplitLast(text);
  SALLYPORT_TRY(pattern.name_, Glob::Make(name));
  SALLYPORT_TRY(pattern.schema_, Glob::Make(schema.empty() ? "public" : schema));
  return pattern;
}

bool RelationPattern::Grants(std::string_view relation) const {
  if (everything_) return true;
  auto [schema, name] = SplitLast(relation);
  return name_.Matches(name) && schema_.Matches(schema.empty() ? DefaultSchema(name) : schema);
}

bool RelationPattern::Triggers(std::string_view relation) const {
  if (Grants(relation)) return true;
  auto [schema, name] = SplitLast(relation);
  return schema.empty() && name_.literal() && name_.Matches(name);
}

Result<ColumnPattern> ColumnPattern::Make(std::string_view text) {
  ColumnPattern pattern;
  auto [table, column] = SplitLast(text);
  SALLYPORT_TRY(pattern.column_, Glob::Make(column));
  if (!table.empty()) {
    SALLYPORT_TRY(pattern.table_, RelationPattern::Make(table));
  }
  return pattern;
}

bool ColumnPattern::Grants(const op::SqlStatement& statement, std::string_view column) const {
  auto [table, name] = SplitLast(column);
  if (!column_.Matches(name)) return false;
  if (!table_) return true;
  if (!table.empty()) return table_->Grants(table);
  return std::ranges::all_of(statement.relations,
                             [&](const op::RelationUse& r) { return table_->Grants(r.name); });
}

bool ColumnPattern::Touched(const op::SqlStatement& statement) const {
  bool relevant = std::ranges::any_of(statement.relations,
                                      [&](const op::RelationUse& r) { return Has(r.name); });
  if (!relevant) return false;
  if (statement.star) return true;
  return std::ranges::any_of(statement.columns, [&](const std::string& column) {
    auto [table, name] = SplitLast(column);
    return column_.Matches(name) && (table.empty() || Has(table));
  });
}

std::string Describe(const SqlObjection& objection) {
  // The names come from the statement. One with many digits in it could be a card number.
  bool numeric =
      std::ranges::count_if(objection.item, [](char c) { return c >= '0' && c <= '9'; }) > 8;
  std::string item =
      numeric || objection.item.size() > 128 ? "(name not shown)" : std::string(objection.item);
  switch (objection.why) {
    case Why::none:
      return "nothing stands against it";
    case Why::kind_not_listed:
      return "the statement " + item + " is not among its statements";
    case Why::effect_needs_scope:
      return "the statement " + item +
             " does more than read, which a rule has to name under sql.statements";
    case Why::function_unknown:
      return "the function " + item +
             " has side effects or is not known to have none, and is not in functions.allow";
    case Why::function_denied:
      return "the function " + item + " is in functions.deny";
    case Why::relation_not_listed:
      return "the relation " + item + " is not among its relations";
    case Why::column_not_listed:
      return "the column " + item + " is not in columns.allow";
    case Why::column_denied:
      return "it may touch a column of columns.deny";
    case Why::where_missing:
      return "the " + item + " has no WHERE that restricts it";
    case Why::unbounded_differs:
      return "the rule is about " + item + " reads";
  }
  return {};
}

Result<SqlConditions> SqlConditions::Make(const SqlScope& scope) {
  SqlConditions c;
  std::vector<std::string> kinds;
  for (const auto& kind : scope.statements) kinds.push_back(Upper(kind));
  SALLYPORT_TRY(c.statements_, MakeAll<Glob>(kinds, "statement"));
  SALLYPORT_TRY(c.relations_, MakeAll<RelationPattern>(scope.relations, "relation"));
  SALLYPORT_TRY(c.columns_allow_, MakeAll<ColumnPattern>(scope.columns_allow, "column"));
  SALLYPORT_TRY(c.columns_deny_, MakeAll<ColumnPattern>(scope.columns_deny, "column"));
  SALLYPORT_TRY(c.functions_allow_, MakeAll<Glob>(scope.functions_allow, "function"));
  SALLYPORT_TRY(c.functions_deny_, MakeAll<Glob>(scope.functions_deny, "function"));
  c.require_where_ = scope.require_where;
  c.unbounded_ = scope.unbounded;
  c.max_rows_ = scope.max_rows;
  return c;
}

bool SqlConditions::Listed(std::string_view kind) const {
  return AnyMatches(statements_, Upper(kind));
}

SqlObjection SqlConditions::GrantsColumns(const op::SqlStatement& statement) const {
  for (const auto& pattern : columns_deny_) {
    if (pattern.Touched(statement)) return {Why::column_denied, {}};
  }
  if (columns_allow_.empty()) return {};
  if (statement.star) return {Why::column_not_listed, "*"};
  for (const auto& column : statement.columns) {
    bool granted = std::ranges::any_of(
        columns_allow_, [&](const ColumnPattern& p) { return p.Grants(statement, column); });
    if (!granted) return {Why::column_not_listed, column};
  }
  return {};
}

SqlObjection SqlConditions::Grants(const op::SqlStatement& statement) const {
  if (TouchesNothing(statement)) return {};
  if (statements_.empty()) {
    if (!OnlyReads(statement.kind)) return {Why::effect_needs_scope, statement.kind};
    if (!statement.nested.empty()) return {Why::effect_needs_scope, statement.nested[0]};
  } else {
    if (!Listed(statement.kind)) return {Why::kind_not_listed, statement.kind};
    for (const auto& kind : statement.nested) {
      if (!Listed(kind)) return {Why::kind_not_listed, kind};
    }
  }
  for (const auto& function : statement.functions) {
    if (FunctionMatches(functions_deny_, function)) return {Why::function_denied, function};
  }
  for (const auto& function : statement.risky) {
    if (!FunctionGranted(functions_allow_, function)) return {Why::function_unknown, function};
  }
  for (const auto& relation : statement.relations) {
    bool listed =
        relations_.empty() || std::ranges::any_of(relations_, [&](const RelationPattern& p) {
          return p.Grants(relation.name);
        });
    if (!listed) return {Why::relation_not_listed, relation.name};
  }
  if (auto objection = GrantsColumns(statement)) return objection;
  if (require_where_.value_or(true) && statement.missing_where)
    return {Why::where_missing, statement.kind};
  if (unbounded_ && *unbounded_ != statement.unbounded) {
    return {Why::unbounded_differs, *unbounded_ ? "unbounded" : "bounded"};
  }
  return {};
}

bool SqlConditions::TriggersKind(const op::SqlStatement& statement) const {
  if (statements_.empty()) return true;
  // "SET" holds back "SET ROLE" too: what a rule forbids, it forbids in every variant.
  auto listed = [&](std::string_view kind) {
    for (auto end = kind.size(); end != 0 && end != std::string_view::npos;
         end = kind.rfind(' ', end - 1)) {
      if (Listed(kind.substr(0, end))) return true;
    }
    return false;
  };
  return listed(statement.kind) || std::ranges::any_of(statement.nested, listed);
}

bool SqlConditions::TriggersTouch(const op::SqlStatement& statement) const {
  if (columns_deny_.empty() && functions_deny_.empty()) return true;
  return std::ranges::any_of(columns_deny_,
                             [&](const ColumnPattern& p) { return p.Touched(statement); }) ||
         std::ranges::any_of(statement.functions, [&](const std::string& f) {
           return FunctionMatches(functions_deny_, f);
         });
}

bool SqlConditions::Triggers(const op::SqlStatement& statement, bool narrow) const {
  if (!TriggersKind(statement)) return false;
  bool relation =
      relations_.empty() || std::ranges::any_of(statement.relations, [&](const op::RelationUse& r) {
        return std::ranges::any_of(relations_,
                                   [&](const RelationPattern& p) { return p.Triggers(r.name); });
      });
  if (!relation) return false;
  if (unbounded_ && *unbounded_ != statement.unbounded) return false;
  if (!narrow) return true;
  if (require_where_.value_or(false) && !statement.missing_where) return false;
  return TriggersTouch(statement);
}

SqlObjection GrantsReading(const op::SqlStatement& statement) {
  if (TouchesNothing(statement)) return {};
  if (!statement.risky.empty()) return {Why::function_unknown, statement.risky[0]};
  if (statement.effect > op::Effect::read || !statement.nested.empty()) {
    return {Why::effect_needs_scope, statement.kind};
  }
  return {};
}

}  // namespace sallyport::policy
