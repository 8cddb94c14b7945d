#include "sql/statements.h"

#include <algorithm>
#include <iterator>

namespace sallyport::sql {
namespace {

using op::Effect;

struct Row {
  std::string_view node;
  StatementKind kind;
};

/// Sorted by node.
constexpr Row kRows[] = {
    {"AlterDatabaseSetStmt", {"ALTER", Effect::admin, false}},
    {"AlterDatabaseStmt", {"ALTER", Effect::admin, false}},
    {"AlterDefaultPrivilegesStmt", {"GRANT", Effect::admin, false}},
    {"AlterDomainStmt", {"ALTER", Effect::ddl, false}},
    {"AlterEnumStmt", {"ALTER", Effect::ddl, false}},
    {"AlterFunctionStmt", {"ALTER", Effect::admin, false}},
    {"AlterObjectDependsStmt", {"ALTER", Effect::ddl, true}},
    {"AlterObjectSchemaStmt", {"ALTER", Effect::ddl, true}},
    {"AlterOwnerStmt", {"ALTER", Effect::admin, true}},
    {"AlterPolicyStmt", {"ALTER", Effect::admin, true}},
    {"AlterRoleSetStmt", {"ALTER ROLE", Effect::admin, false}},
    {"AlterRoleStmt", {"ALTER ROLE", Effect::admin, false}},
    {"AlterSeqStmt", {"ALTER", Effect::ddl, true}},
    {"AlterStatsStmt", {"ALTER", Effect::ddl, false}},
    {"AlterSystemStmt", {"ALTER SYSTEM", Effect::admin, false}},
    {"AlterTableStmt", {"ALTER", Effect::ddl, true}},
    {"AlterTypeStmt", {"ALTER", Effect::ddl, false}},
    {"CallStmt", {"CALL", Effect::admin, false}},
    {"CheckPointStmt", {"CHECKPOINT", Effect::admin, false}},
    {"ClosePortalStmt", {"CLOSE", Effect::none, false}},
    {"ClusterStmt", {"CLUSTER", Effect::ddl, true}},
    {"CommentStmt", {"COMMENT", Effect::ddl, false}},
    {"CompositeTypeStmt", {"CREATE", Effect::ddl, false}},
    {"ConstraintsSetStmt", {"SET CONSTRAINTS", Effect::write, false}},
    {"CopyStmt", {"COPY", Effect::read, false}},
    {"CreateDomainStmt", {"CREATE", Effect::ddl, false}},
    {"CreateEnumStmt", {"CREATE", Effect::ddl, false}},
    {"CreateExtensionStmt", {"CREATE EXTENSION", Effect::admin, false}},
    {"CreateForeignTableStmt", {"CREATE", Effect::admin, true}},
    {"CreateFunctionStmt", {"CREATE FUNCTION", Effect::admin, false}},
    {"CreatePolicyStmt", {"CREATE", Effect::admin, true}},
    {"CreateRangeStmt", {"CREATE", Effect::ddl, false}},
    {"CreateRoleStmt", {"CREATE ROLE", Effect::admin, false}},
    {"CreateSchemaStmt", {"CREATE", Effect::ddl, false}},
    {"CreateSeqStmt", {"CREATE", Effect::ddl, true}},
    {"CreateStatsStmt", {"CREATE", Effect::ddl, true}},
    {"CreateStmt", {"CREATE", Effect::ddl, true}},
    {"CreateTableAsStmt", {"CREATE", Effect::ddl, false}},
    {"CreateTrigStmt", {"CREATE TRIGGER", Effect::admin, true}},
    {"CreatedbStmt", {"CREATE DATABASE", Effect::admin, false}},
    {"DeallocateStmt", {"DEALLOCATE", Effect::none, false}},
    {"DeclareCursorStmt", {"DECLARE", Effect::read, false}},
    {"DefineStmt", {"CREATE", Effect::admin, false}},
    {"DeleteStmt", {"DELETE", Effect::write, false}},
    {"DiscardStmt", {"DISCARD", Effect::admin, false}},
    {"DoStmt", {"DO", Effect::admin, false}},
    {"DropOwnedStmt", {"DROP OWNED", Effect::admin, false}},
    {"DropRoleStmt", {"DROP ROLE", Effect::admin, false}},
    {"DropStmt", {"DROP", Effect::ddl, true}},
    {"DropdbStmt", {"DROP DATABASE", Effect::admin, false}},
    {"ExecuteStmt", {"EXECUTE", Effect::admin, false}},
    {"ExplainStmt", {"EXPLAIN", Effect::read, false}},
    {"FetchStmt", {"FETCH", Effect::read, false}},
    {"GrantRoleStmt", {"GRANT", Effect::admin, false}},
    {"GrantStmt", {"GRANT", Effect::admin, true}},
    {"IndexStmt", {"CREATE INDEX", Effect::ddl, true}},
    {"InsertStmt", {"INSERT", Effect::write, false}},
    {"ListenStmt", {"LISTEN", Effect::read, false}},
    {"LoadStmt", {"LOAD", Effect::admin, false}},
    {"LockStmt", {"LOCK", Effect::write, true}},
    {"MergeStmt", {"MERGE", Effect::write, false}},
    {"NotifyStmt", {"NOTIFY", Effect::write, false}},
    {"PrepareStmt", {"PREPARE", Effect::read, false}},
    {"ReassignOwnedStmt", {"REASSIGN OWNED", Effect::admin, false}},
    {"RefreshMatViewStmt", {"REFRESH", Effect::ddl, true}},
    {"ReindexStmt", {"REINDEX", Effect::ddl, true}},
    {"RenameStmt", {"ALTER", Effect::ddl, true}},
    {"RuleStmt", {"CREATE RULE", Effect::admin, true}},
    {"SecLabelStmt", {"SECURITY LABEL", Effect::admin, false}},
    {"SelectStmt", {"SELECT", Effect::read, false}},
    {"TransactionStmt", {"TRANSACTION", Effect::none, false}},
    {"TruncateStmt", {"TRUNCATE", Effect::ddl, true}},
    {"UnlistenStmt", {"UNLISTEN", Effect::none, false}},
    {"UpdateStmt", {"UPDATE", Effect::write, false}},
    {"VacuumStmt", {"VACUUM", Effect::write, true}},
    {"VariableSetStmt", {"SET", Effect::read, false}},
    {"VariableShowStmt", {"SHOW", Effect::read, false}},
    {"ViewStmt", {"CREATE", Effect::ddl, true}},
};
static_assert(std::ranges::is_sorted(kRows, {}, &Row::node));

}  // namespace

StatementKind KindOfStatement(std::string_view node) {
  auto at = std::ranges::lower_bound(kRows, node, {}, &Row::node);
  if (at == std::end(kRows) || at->node != node) return {"OTHER", Effect::admin, false};
  return at->kind;
}

}  // namespace sallyport::sql
