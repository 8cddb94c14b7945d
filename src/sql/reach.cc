#include "sql/reach.h"

#include <algorithm>
#include <array>

namespace sallyport::sql {
namespace {

constexpr auto kHarmless = std::to_array<std::string_view>({
#include "sql/harmless_functions.inc"
});
constexpr auto kOthers = std::to_array<std::string_view>({
#include "sql/builtin_functions.inc"
});
static_assert(std::ranges::is_sorted(kOthers));
constexpr auto kRelations = std::to_array<std::string_view>({
#include "sql/builtin_relations.inc"
});
static_assert(std::ranges::is_sorted(kRelations));

constexpr auto kCode = std::to_array<std::string_view>(
    {"AlterPublicationStmt", "AlterSubscriptionStmt", "CreateAmStmt", "CreateCastStmt",
     "CreateConversionStmt", "CreateEventTrigStmt", "CreateForeignTableStmt", "CreateFunctionStmt",
     "CreateOpClassStmt", "CreatePLangStmt", "CreatePublicationStmt", "CreateSubscriptionStmt",
     "CreateTransformStmt", "CreateTrigStmt", "DoStmt", "ImportForeignSchemaStmt", "LoadStmt",
     "RuleStmt"});

/// By the beginning of the name. Extensions that come with PostgreSQL are listed too.
constexpr std::string_view kReaching[] = {
    "query_to_xml",
    "table_to_xml",
    "schema_to_xml",
    "database_to_xml",
    "cursor_to_xml",
    "ts_stat",
    "ts_rewrite",
    "dblink",
    "crosstab",
    "connectby",
    "xpath_table",
    "postgres_fdw_",
    // Large objects and files.
    "lo_",
    "loread",
    "lowrite",
    "pg_read_",
    "pg_file_",
    "pg_stat_file",
    "pg_ls_",
    // Pages, indexes and write-ahead logs as bytes.
    "get_raw_page",
    "heap_page",
    "heap_tuple",
    "fsm_page",
    "bt_page",
    "bt_metap",
    "bt_multi_page",
    "brin_page",
    "brin_revmap",
    "brin_metapage",
    "gin_page",
    "gin_leafpage",
    "gin_metapage",
    "gist_page",
    "hash_page",
    "hash_metapage",
    "hash_bitmap",
    "page_header",
    "page_checksum",
    "tuple_data_split",
    "pg_logical_",
    "pg_walinspect",
    "pg_get_wal_",
    "pg_replication_slot_",
    "pg_create_logical",
    "pg_copy_logical",
    "verify_heapam",
    "bt_index_",
    // Statements of other sessions, samples of values.
    "pg_stat_get_activity",
    "pg_stat_get_backend_activity",
    "pg_stats_ext_mcvlist_items",
    "pg_mcv_list_items",
    "pg_stat_statements",
    "pg_prepared_statement",
    "pg_cursor",
    "plpgsql_",
    "binary_upgrade_",
    "pg_partition_check",
};

/// Of those, the ones that only look alike.
constexpr std::string_view kNotReaching[] = {
    "pg_logical_emit_message",
    "pg_stat_statements_reset",
    "pg_get_wal_replay_pause_state",
    "pg_get_wal_resource_managers",
};

constexpr std::string_view kDefinitions[] = {
    "pg_get_constraintdef",
    "pg_get_expr",
    "pg_get_function_arg_default",
    "pg_get_function_arguments",
    "pg_get_function_sqlbody",
    "pg_get_functiondef",
    "pg_get_indexdef",
    "pg_get_partition_constraintdef",
    "pg_get_partkeydef",
    "pg_get_ruledef",
    "pg_get_statisticsobjdef",
    "pg_get_statisticsobjdef_expressions",
    "pg_get_triggerdef",
    "pg_get_viewdef",
    "current_query",
};

constexpr auto kOperators = std::to_array<std::string_view>(
    {"!!",  "!=",  "!~",   "!~*", "!~~", "!~~*", "#",   "##",  "#-",  "#>",  "#>>", "%",   "&",
     "&&",  "&<",  "&<|",  "&>",  "*",   "*<",   "*<=", "*<>", "*=",  "*>",  "*>=", "+",   "-",
     "->",  "->>", "-|-",  "/",   "<",   "<->",  "<<",  "<<=", "<<|", "<=",  "<>",  "<@",  "<^",
     "=",   ">",   ">=",   ">>",  ">>=", ">^",   "?",   "?#",  "?&",  "?-",  "?-|", "?|",  "?||",
     "@",   "@-@", "@>",   "@?",  "@@",  "@@@",  "^",   "^@",  "|",   "|&>", "|/",  "|>>", "||",
     "||/", "~",   "~<=~", "~<~", "~=",  "~>=~", "~>~", "~~",  "~~*"});
static_assert(std::ranges::is_sorted(kOperators));

struct RawEntry {
  std::string_view relation, column;  // column empty: all
  RawValues what;
};

constexpr RawEntry kRaw[] = {
    {"pg_stats", "most_common_vals", RawValues::values},
    {"pg_stats", "histogram_bounds", RawValues::values},
    {"pg_stats", "most_common_elems", RawValues::values},
    {"pg_stats_ext", "most_common_vals", RawValues::values},
    {"pg_stats_ext", "exprs", RawValues::quoted},
    {"pg_stats_ext_exprs", "most_common_vals", RawValues::values},
    {"pg_stats_ext_exprs", "most_common_elems", RawValues::values},
    {"pg_stats_ext_exprs", "histogram_bounds", RawValues::values},
    {"pg_stats_ext_exprs", "expr", RawValues::quoted},
    {"pg_statistic", "stavalues1", RawValues::values},
    {"pg_statistic", "stavalues2", RawValues::values},
    {"pg_statistic", "stavalues3", RawValues::values},
    {"pg_statistic", "stavalues4", RawValues::values},
    {"pg_statistic", "stavalues5", RawValues::values},
    {"pg_statistic_ext_data", "stxdmcv", RawValues::values},
    {"pg_statistic_ext_data", "stxdexpr", RawValues::values},
    {"pg_largeobject", "data", RawValues::values},
    {"pg_stat_activity", "query", RawValues::quoted},
    {"pg_stat_statements", "query", RawValues::quoted},
    {"pg_prepared_statements", "statement", RawValues::quoted},
    {"pg_cursors", "statement", RawValues::quoted},
    {"pg_indexes", "indexdef", RawValues::quoted},
    {"pg_views", "definition", RawValues::quoted},
    {"pg_matviews", "definition", RawValues::quoted},
    {"pg_rules", "definition", RawValues::quoted},
    {"pg_policies", "qual", RawValues::quoted},
    {"pg_policies", "with_check", RawValues::quoted},
    {"pg_policy", "polqual", RawValues::quoted},
    {"pg_policy", "polwithcheck", RawValues::quoted},
    {"pg_proc", "prosrc", RawValues::quoted},
    {"pg_proc", "prosqlbody", RawValues::quoted},
    {"pg_proc", "proargdefaults", RawValues::quoted},
    {"pg_rewrite", "ev_action", RawValues::quoted},
    {"pg_rewrite", "ev_qual", RawValues::quoted},
    {"pg_trigger", "tgqual", RawValues::quoted},
    {"pg_trigger", "tgargs", RawValues::quoted},
    {"pg_constraint", "conbin", RawValues::quoted},
    {"pg_attrdef", "adbin", RawValues::quoted},
    {"pg_attribute", "attmissingval", RawValues::quoted},
    {"pg_index", "indpred", RawValues::quoted},
    {"pg_index", "indexprs", RawValues::quoted},
    {"pg_class", "relpartbound", RawValues::quoted},
    {"pg_partitioned_table", "partexprs", RawValues::quoted},
    {"pg_type", "typdefaultbin", RawValues::quoted},
    {"pg_type", "typdefault", RawValues::quoted},
    {"pg_statistic_ext", "stxexprs", RawValues::quoted},
    {"pg_publication_rel", "prqual", RawValues::quoted},
    {"check_constraints", "check_clause", RawValues::quoted},
    {"columns", "column_default", RawValues::quoted},
    {"columns", "generation_expression", RawValues::quoted},
    {"domains", "domain_default", RawValues::quoted},
    {"parameters", "parameter_default", RawValues::quoted},
    {"routines", "routine_definition", RawValues::quoted},
    {"triggers", "action_condition", RawValues::quoted},
    {"triggers", "action_statement", RawValues::quoted},
    {"views", "view_definition", RawValues::quoted},
};

}  // namespace

bool ReachesPastArguments(std::string_view function) {
  // The two forms of ts_rewrite and the like are not told apart: which one is meant depends on
  // types.
  if (std::ranges::find(kNotReaching, function) != std::end(kNotReaching)) return false;
  return std::ranges::any_of(kReaching,
                             [&](std::string_view begin) { return function.starts_with(begin); });
}

bool QuotesDefinitions(std::string_view function) {
  return std::ranges::find(kDefinitions, function) != std::end(kDefinitions);
}

bool IsBuiltin(std::string_view function) {
  return std::ranges::binary_search(kHarmless, function) ||
         std::ranges::binary_search(kOthers, function);
}

bool IsBuiltinOperator(std::string_view symbol) {
  return std::ranges::binary_search(kOperators, symbol);
}

bool IsBuiltinRelation(std::string_view relation) {
  return std::ranges::binary_search(kRelations, relation);
}

bool BringsCode(std::string_view node) { return std::ranges::binary_search(kCode, node); }

RawValues RawColumn(std::string_view schema, std::string_view relation, std::string_view column) {
  bool own =
      schema == "pg_catalog" || schema == "information_schema" || relation == "pg_stat_statements";
  if (!own) return RawValues::none;
  for (const auto& entry : kRaw) {
    if (entry.relation == relation && entry.column == column) return entry.what;
  }
  return RawValues::none;
}

RawValues RawRelation(std::string_view relation) {
  RawValues worst = RawValues::none;
  for (const auto& entry : kRaw) {
    if (entry.relation == relation) worst = std::max(worst, entry.what);
  }
  return worst;
}

}  // namespace sallyport::sql
