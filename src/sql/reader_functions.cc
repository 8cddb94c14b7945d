#include <algorithm>
#include <utility>

#include "sql/functions.h"
#include "sql/reach.h"
#include "sql/reader.h"

// What may be called, and with which names.

namespace sallyport::sql {

void Reader::Called(std::string_view schema, std::string_view name) {
  const auto& catalog = context_.catalog;
  const auto* function = schema.empty() ? catalog.ResolveFunction(name, context_.search_path)
                                        : catalog.FindFunction(schema, name);
  Cast(name);  // a type's name before an argument is a cast
  if (!catalog.classifies_anything()) return;
  // What it gives may be of a type that is cast where nobody writes it.
  if (function && !catalog.content().hidden.implicit.empty()) RefuseHidden("result of", name);
  if (ReachesPastArguments(name)) {
    Refuse(Errc::sql_not_maskable,
           "the function " + std::string(name) + " reads what its arguments only name");
  } else if (function && function->touches_classified) {
    Refuse(Errc::sql_not_maskable,
           "the function " + std::string(name) + " may read classified columns");
  } else if (!function && !schema.empty() && schema != "pg_catalog" &&
             schema != "information_schema") {
    out_.unknown_names = true;
    Refuse(Errc::sql_not_maskable, "the function " + std::string(schema) + "." + std::string(name) +
                                       " is not known, so nobody can say what it reads");
  }
}

void Reader::Function(json::Value call, Level& level, Spot spot, bool bare, bool carries) {
  std::string_view names[3];
  size_t count = 0;
  for (auto part = call["funcname"].first(); part && count < 3; part = part.next())
    names[count++] = NameOf(part);
  std::string_view name = count == 0 ? std::string_view() : names[count - 1];
  std::string_view schema = count < 2 ? std::string_view() : names[count - 2];
  bool builtin = schema.empty() || schema == "pg_catalog";
  Called(schema, name);
  if (call["over"] || call["agg_within_group"]) out_.plain = false;
  if (builtin && QuotesDefinitions(name)) {
    if (!bare) RefuseRaw();
    flow_.raw = true;
  }
  const auto& catalog = context_.catalog;
  const auto* user = builtin ? catalog.ResolveFunction(name, context_.search_path) : nullptr;
  if (builtin && !user && RiskOfFunction(name).risky) {
    if (out_.risky_call.empty()) out_.risky_call = name;
    bool projection = call["args"].size() == 1 && IsColumnSomewhere(name, level);
    if (schema.empty() && catalog.classifies_anything() && !projection && !IsBuiltin(name) &&
        !catalog.FindFunction("pg_catalog", name)) {
      out_.unknown_names = true;
      Refuse(Errc::sql_not_maskable, "the function " + std::string(name) +
                                         " is not known, so nobody can say what it reads");
    }
  }
  if (builtin && name == "set_config") SetConfig(call["args"]);
  if (out_.risky_call.empty() && !builtin && !catalog.FindFunction(schema, name))
    out_.risky_call = name;
  bool quiet = std::exchange(quiet_, quiet_ || (builtin && QuotesDefinitions(name)));
  if (carries) {
    for (auto v = call["args"].first(); v; v = v.next()) Carry(v, level, spot);
    Members(call, level, spot, {"funcname", "args"});
  } else {
    Members(call, level, spot, {"funcname"});
  }
  quiet_ = quiet;
}

bool Reader::IsColumnSomewhere(std::string_view name, const Level& level) const {
  for (const Level* at = &level; at != nullptr; at = at->outer) {
    for (const auto& item : at->items) {
      int32_t column;
      if (Find(item, name, column) == Match::yes) return true;
    }
  }
  return false;
}

void Reader::Operator(json::Value names) {
  if (!names) return;
  std::string_view last;
  size_t count = 0;
  std::string_view schema;
  for (auto part = names.first(); part; part = part.next(), ++count) {
    if (count == 0) schema = NameOf(part);
    last = NameOf(part);
  }
  if (count == 0) return;
  Operator(last);
  if (!context_.catalog.classifies_anything()) return;
  if (IsBuiltinOperator(last) && (count == 1 || schema == "pg_catalog")) return;
  const auto& functions = context_.catalog.content().functions;
  // Nobody says which function stands behind it.
  if (std::ranges::any_of(functions, &CatalogFunction::touches_classified)) {
    Refuse(Errc::sql_not_maskable, "the operator " + std::string(last) +
                                       " is not PostgreSQL's own: what it reads is not known");
  }
}

void Reader::RefuseHidden(std::string_view what, std::string_view name) {
  Refuse(Errc::sql_not_maskable, "the " + std::string(what) + " " + std::string(name) +
                                     " calls a function that may read classified columns");
}

void Reader::OwnCall(std::string_view what, std::string_view name) {
  std::string call = std::string(what) + " " + std::string(name);
  if (std::ranges::find(out_.own_calls, call) == out_.own_calls.end())
    out_.own_calls.push_back(std::move(call));
}

void Reader::Operator(std::string_view name) {
  const auto& own = context_.catalog.content().hidden.own_operators;
  if (!own.empty() && own.contains(std::string(name))) OwnCall("operator", name);
  const auto& hidden = context_.catalog.content().hidden.operators;
  if (!hidden.empty() && hidden.contains(std::string(name))) RefuseHidden("operator", name);
}

void Reader::Cast(std::string_view type) {
  const auto& own = context_.catalog.content().hidden.own_types;
  if (!own.empty() && own.contains(std::string(type))) OwnCall("cast of", type);
  const auto& hidden = context_.catalog.content().hidden.types;
  if (!hidden.empty() && hidden.contains(std::string(type))) RefuseHidden("cast of type", type);
}

void Reader::Cast(json::Value type_name) {
  const auto names = type_name["names"];
  if (names.size() > 0) Cast(NameOf(names.at(names.size() - 1)));
}

void Reader::SetConfig(json::Value arguments) {
  out_.literal_sensitive = true;
  if (!context_.catalog.classifies_anything()) return;
  auto name = arguments.at(0)["A_Const"]["sval"]["sval"].string();
  auto fields = arguments.at(0)["ColumnRef"]["fields"];
  if (fields.size() == 1 && NameOf(fields.first()) == "name" && !pinned_setting_.empty())
    name = pinned_setting_;
  auto value = arguments.at(1)["A_Const"]["sval"]["sval"];
  // An empty path finds less than what is assumed here, never something else.
  bool empties = name == "search_path" && value && TextOf(value).empty();
  bool restricts = name == "restrict_nonsystem_relation_kind";
  if (empties || (restricts && value)) return;
  if (!name || !IsHarmlessParameter(*name) || *name == "client_min_messages") {
    Refuse(Errc::sql_state_refused,
           "set_config is understood for parameters that only change how answers look, named as "
           "literals");
  }
}

/// `SELECT set_config(name, …) FROM pg_settings WHERE name = 'x'`, as pg_dump writes it: the
/// setting that is meant.
std::string_view Reader::PinnedSetting(json::Value select) const {
  auto from = select["fromClause"];
  auto condition = select["whereClause"]["A_Expr"];
  auto fields = condition["lexpr"]["ColumnRef"]["fields"];
  bool pinned = from.size() == 1 && TextOf(from.first()["RangeVar"]["relname"]) == "pg_settings" &&
                condition["name"].size() == 1 && NameOf(condition["name"].first()) == "=" &&
                TextOf(condition["kind"]) == "AEXPR_OP" && fields.size() == 1 &&
                NameOf(fields.first()) == "name";
  return pinned ? TextOf(condition["rexpr"]["A_Const"]["sval"]["sval"]) : std::string_view();
}

}  // namespace sallyport::sql
