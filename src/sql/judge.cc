#include "sql/judge.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <string>

#include "sql/reader.h"

namespace sallyport::sql {
namespace {

using Place = Mention::Place;

/// Statements that name relations without reading or showing their values.
constexpr auto kNaming = std::to_array<std::string_view>(
    {"AlterOwnerStmt", "ClusterStmt", "CommentStmt", "CreateStmt", "DropStmt", "GrantStmt",
     "LockStmt", "RefreshMatViewStmt", "ReindexStmt", "TruncateStmt", "VacuumStmt", "AlterSeqStmt",
     "CreateSeqStmt"});

bool Among(const auto& list, std::string_view node) {
  return std::ranges::find(list, node) != list.end();
}

Verdict Refused(Errc code, std::string detail) {
  return {.route = Route::refused, .refusal = Error(code, std::move(detail)), .classified = true};
}

/// Whether a definition computes: refers to columns, calls functions or holds a condition.
bool Computes(json::Value value) {
  for (auto v = value.first(); v; v = v.next()) {
    auto key = v.key();
    if (key == "ColumnRef" || key == "FuncCall" || key == "A_Expr" || key == "raw_expr" ||
        key == "expr" || key == "whereClause") {
      return true;
    }
    if (Computes(v)) return true;
  }
  return false;
}

/// ALTER TABLE … ADD COLUMN of a plain column, DROP COLUMN.
bool OnlyAddsOrDrops(json::Value body) {
  for (auto command = body["cmds"].first(); command; command = command.next()) {
    auto kind = TextOf(command["AlterTableCmd"]["subtype"]);
    if (kind == "AT_DropColumn") continue;
    if (kind != "AT_AddColumn" || Computes(command)) return false;
  }
  return true;
}

bool ObjectAllowed(std::string_view node, json::Value body) {
  if (Among(kNaming, node)) return true;
  if (node == "AlterTableStmt") return OnlyAddsOrDrops(body);
  if (node == "IndexStmt") {
    // A unique index tells by an error which values are the same; an expression may show them.
    return !Computes(body) && !body["unique"].boolean().value_or(false);
  }
  return false;
}

std::string NameOfUse(const Use& use) {
  return use.relation ? use.relation->schema + "." + use.relation->name : std::string("a relation");
}

/// A change: what it reads of its target, and that nothing is stored that was read elsewhere.
Verdict JudgeChange(const Reading& reading, Verdict verdict) {
  for (const auto& mention : reading.mentions) {
    const auto& use = reading.uses[mention.use];
    if (use.role == Use::Role::source) {
      return Refused(Errc::sql_not_maskable,
                     "classified columns of " + NameOfUse(use) +
                         " would decide what is written: name the other columns only");
    }
    if (mention.place == Place::written) {
      return Refused(Errc::sql_not_maskable, "a classified column of " + NameOfUse(use) +
                                                 " would be changed in rows that exist");
    }
    if (mention.column < 0 ||
        (mention.place != Place::returning && mention.place != Place::computed)) {
      return Refused(Errc::sql_not_maskable, "a condition or value reads a classified column of " +
                                                 NameOfUse(use) +
                                                 ", which is what the statement changes");
    }
  }
  if (reading.unknown_names) {
    return Refused(Errc::sql_not_maskable,
                   "it names a column or function that is not known, of or next to a relation with "
                   "classified columns");
  }
  verdict.route = Route::rewritten;
  return verdict;
}

bool ByOrigin(const Reading& reading, Verdict& verdict) {
  for (const auto& mention : reading.mentions) {
    const auto& use = reading.uses[mention.use];
    bool bare = mention.place == Place::output ||
                (mention.place == Place::returning && use.role == Use::Role::target);
    if (!bare || mention.column < 0 || use.relation->oid == 0) return false;
    const auto& column = use.relation->columns[static_cast<size_t>(mention.column)];
    if (column.derived || column.number == 0) return false;
    verdict.outputs.push_back({.index = mention.index,
                               .relation = use.relation->oid,
                               .column = column.number,
                               .mask = column.mask});
  }
  return true;
}

std::string Lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return out;
}

}  // namespace

/// Columns that nobody may see are not granted to a role made for the session: the statement must
/// not name them at all, and a sub-select with NULL in their place does not.
bool Readable(const std::vector<MaskedOutput>& outputs) {
  return std::ranges::none_of(
      outputs, [](const MaskedOutput& output) { return output.mask == SourceMask::null; });
}

Verdict Judge(std::string_view node, json::Value body, const Reading& reading,
              const Catalog& catalog, bool source_only, bool alone) {
  Verdict verdict{.route = Route::as_is};
  if (!catalog.classifies_anything()) {
    if (reading.refusal) return {.route = Route::refused, .refusal = *reading.refusal};
    return verdict;
  }
  bool sources = false, objects = false;
  for (const auto& use : reading.uses) {
    if (!use.relation || !use.relation->classified) continue;
    verdict.classified = true;
    sources |= use.role == Use::Role::source;
    objects |= use.role == Use::Role::object;
  }
  auto refuse = [&](Error error) {
    Verdict refused{.route = Route::refused, .refusal = std::move(error)};
    refused.classified = true;
    return refused;
  };
  if (reading.refusal) return refuse(*reading.refusal);
  if (objects && !ObjectAllowed(node, body)) {
    return refuse({Errc::sql_not_maskable,
                   "this change of a relation with classified columns could show them, or hide "
                   "that they are classified"});
  }
  if (!verdict.classified) return verdict;
  if (reading.mentions.empty() && !reading.unknown_names) {
    // No classified column can be meant: nothing to mask.
    verdict.route = source_only ? Route::as_is : Route::by_origin;
    return verdict;
  }
  bool computed = std::ranges::any_of(reading.mentions, [](const Mention& m) {
    return m.place != Place::output && m.place != Place::returning;
  });
  if (computed && !reading.risky_call.empty()) {
    return refuse(
        {Errc::sql_not_maskable, "the function " + std::string(reading.risky_call) +
                                     " does more than compute, next to classified columns"});
  }
  if (!source_only && alone && reading.plain && !reading.unknown_names &&
      ByOrigin(reading, verdict) && Readable(verdict.outputs)) {
    verdict.route = Route::by_origin;
    return verdict;
  }
  verdict.outputs.clear();
  if (reading.writes) return JudgeChange(reading, std::move(verdict));
  if (!sources) {
    verdict.route = Route::as_is;
    return verdict;
  }
  verdict.route = Route::rewritten;
  return verdict;
}

Error RefusedSetting(json::Value body, const Catalog& catalog) {
  auto name = Lower(TextOf(body["name"]));
  auto kind = TextOf(body["kind"]);
  Error none;
  none.detail.clear();
  bool sets = kind == "VAR_SET_VALUE" || kind == "VAR_SET_CURRENT";
  auto first = body["args"].at(0)["A_Const"];
  auto value = Lower(TextOf(first["sval"]["sval"]));
  if (name.starts_with("sallyport."))
    return {Errc::sql_state_refused, "the server has no settings of the gateway"};
  if (name == "standard_conforming_strings" && sets && value != "on" && value != "true") {
    return {Errc::sql_state_refused, "standard_conforming_strings stays on in this session"};
  }
  if (name == "client_encoding" && sets) {
    std::erase_if(value, [](char c) { return c == '-' || c == '_'; });
    if (value != "utf8" && value != "unicode")
      return {Errc::sql_state_refused, "client_encoding stays UTF8 in this session"};
  }
  if (!catalog.classifies_anything()) return none;
  static constexpr auto kFixed = std::to_array<std::string_view>(
      {"role", "session_authorization", "session_replication_role", "search_path",
       "backtrace_functions", "local_preload_libraries", "session_preload_libraries",
       "dynamic_library_path"});
  bool fixed = Among(kFixed, name) || name.starts_with("debug_") || name.starts_with("log_") ||
               name.starts_with("trace_") || name == "auto_explain" ||
               name.starts_with("auto_explain.");
  // An empty path finds less than what is assumed here, never something else.
  bool empties = name == "search_path" && (!sets || (first["sval"] && value.empty()));
  if (fixed && !empties) {
    return {Errc::sql_state_refused,
            "the parameter " + name +
                " decides what later statements mean or show, and stays as it is"};
  }
  if (name == "client_min_messages" && sets && (value.starts_with("debug") || value == "log")) {
    return {Errc::sql_state_refused, "client_min_messages stays at notice or above"};
  }
  return none;
}

}  // namespace sallyport::sql
