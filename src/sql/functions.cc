#include "sql/functions.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <string>

namespace sallyport::sql {
namespace {

using op::Effect;

constexpr auto kHarmless = std::to_array<std::string_view>({
#include "sql/harmless_functions.inc"
});
static_assert(std::ranges::is_sorted(kHarmless));

struct Known {
  std::string_view begin;  // of the name
  Effect effect;
};

/// Functions that do something, by the beginning of their names. Extensions that are often
/// installed are listed too: their names are taken wherever they stand.
constexpr Known kRisks[] = {
    {"set_config", Effect::admin},
    {"pg_terminate_backend", Effect::admin},
    {"pg_cancel_backend", Effect::admin},
    {"pg_reload_conf", Effect::admin},
    {"pg_rotate_logfile", Effect::admin},
    {"pg_promote", Effect::admin},
    {"pg_switch_wal", Effect::admin},
    {"pg_backup_st", Effect::admin},
    {"pg_wal_replay_", Effect::admin},
    {"pg_create_", Effect::admin},
    {"pg_drop_", Effect::admin},
    {"pg_copy_", Effect::admin},
    {"pg_logical_", Effect::admin},
    {"pg_replication_", Effect::admin},
    {"pg_stat_reset", Effect::admin},
    {"pg_import_system_collations", Effect::admin},
    {"binary_upgrade_", Effect::admin},
    {"pg_log_backend_memory_contexts", Effect::admin},
    {"pg_export_snapshot", Effect::write},
    {"pg_extension_config_dump", Effect::admin},
    // Files and the log of the server, or whatever a text says.
    {"pg_read_", Effect::admin},
    {"pg_ls_", Effect::admin},
    {"pg_stat_file", Effect::admin},
    {"pg_file_", Effect::admin},
    {"pg_current_logfile", Effect::admin},
    {"pg_hba_file_rules", Effect::admin},
    {"pg_ident_file_mappings", Effect::admin},
    {"pg_show_all_file_settings", Effect::admin},
    {"lo_", Effect::admin},
    {"loread", Effect::admin},
    {"lowrite", Effect::admin},
    {"dblink", Effect::admin},
    {"postgres_fdw_", Effect::admin},
    {"query_to_xml", Effect::admin},
    {"table_to_xml", Effect::admin},
    {"schema_to_xml", Effect::admin},
    {"database_to_xml", Effect::admin},
    {"cursor_to_xml", Effect::admin},
    {"ts_stat", Effect::admin},
    {"ts_rewrite", Effect::admin},
    {"crosstab", Effect::admin},
    {"connectby", Effect::admin},
    {"xpath_table", Effect::admin},
    {"plpgsql_", Effect::admin},
    // What stays, is seen by others, or blocks them.
    {"nextval", Effect::write},
    {"setval", Effect::write},
    {"pg_notify", Effect::write},
    {"pg_advisory_", Effect::write},
    {"pg_try_advisory_", Effect::write},
    {"pg_sleep", Effect::write},
    {"txid_current", Effect::write},
    {"pg_current_xact_id", Effect::write},
    {"brin_", Effect::write},
    {"gin_clean_pending_list", Effect::write},
    {"setseed", Effect::write},
    // Other sessions and other people's statements.
    {"pg_stat_get_activity", Effect::admin},
    {"pg_stat_get_backend_", Effect::admin},
};

std::string_view Unqualified(std::string_view name) {
  auto dot = name.rfind('.');
  return dot == std::string_view::npos ? name : name.substr(dot + 1);
}

}  // namespace

FunctionRisk RiskOfFunction(std::string_view name) {
  auto bare = Unqualified(name);
  bool builtin =
      bare.size() == name.size() || name.substr(0, name.size() - bare.size()) == "pg_catalog.";
  if (builtin && std::ranges::binary_search(kHarmless, bare)) return {.risky = false};
  for (const auto& known : kRisks) {
    if (bare.starts_with(known.begin)) return {.risky = true, .effect = known.effect};
  }
  return {.risky = true};
}

bool IsHarmlessParameter(std::string_view name) {
  static constexpr auto kParameters =
      std::to_array<std::string_view>({"application_name",
                                       "bytea_output",
                                       "client_min_messages",
                                       "datestyle",
                                       "extra_float_digits",
                                       "geqo",
                                       "intervalstyle",
                                       "jit",
                                       "lc_messages",
                                       "lc_monetary",
                                       "lc_numeric",
                                       "lc_time",
                                       "statement_timeout",
                                       "lock_timeout",
                                       "idle_in_transaction_session_timeout",
                                       "timezone",
                                       "transaction_isolation",
                                       "work_mem",
                                       "xmlbinary",
                                       "xmloption"});
  std::string lower(name);
  for (char& c : lower) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return std::ranges::find(kParameters, lower) != kParameters.end();
}

}  // namespace sallyport::sql
