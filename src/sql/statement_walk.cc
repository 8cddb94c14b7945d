#include <algorithm>
#include <cctype>
#include <utility>

#include "sql/functions.h"
#include "sql/statements.h"
#include "sql/tree.h"
#include "sql/walker.h"

namespace sallyport::sql {
namespace {

using op::Effect;

std::string Text(json::Value value) { return std::string(value.string().value_or("")); }
std::string Name(json::Value node) { return Text(node["String"]["sval"]); }
bool True(json::Value value) { return value.boolean().value_or(false); }

/// Whether LIMIT is there and is a limit: LIMIT ALL and LIMIT NULL are not.
bool Limits(json::Value count) { return count && !True(count["A_Const"]["isnull"]); }

/// `explain (analyze)`, `(analyze true)`, `(analyze on)`, `(analyze 1)`.
bool AsksToRun(json::Value option) {
  if (Text(option["defname"]) != "analyze") return false;
  auto arg = option["arg"];
  if (!arg) return true;
  if (arg["Integer"]) return arg["Integer"]["ival"].integer().value_or(0) != 0;
  if (arg["Boolean"]) return True(arg["Boolean"]["boolval"]);
  std::string text = Name(arg);
  for (char& c : text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return text != "false" && text != "off" && text != "0" && text != "no";
}

/// Other encodings write the same text in bytes that nobody here reads.
bool IsUtf8(std::string_view encoding) {
  std::string name;
  for (char c : encoding) {
    if (c != '-' && c != '_')
      name += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  }
  return name == "utf8" || name == "unicode";
}

}  // namespace

void Walker::Nest(std::string_view kind) {
  if (std::ranges::find(out_.nested, kind) == out_.nested.end()) out_.nested.emplace_back(kind);
}

bool Walker::Statement(std::string_view node, json::Value body, const Scope& scope, bool top) {
  auto kind = KindOfStatement(node);
  if (top) {
    out_.kind = kind.kind;
    out_.effect = kind.effect;
  } else {
    Raise(kind.effect);
    if (kind.effect > Effect::read) Nest(kind.kind);
  }
  if (node == "SelectStmt") return Select(body, scope);
  if (node == "InsertStmt") return Insert(body, scope), false;
  if (node == "UpdateStmt") return Update(body, scope), false;
  if (node == "DeleteStmt") return Delete(body, scope), false;
  if (node == "MergeStmt") return Merge(body, scope), false;
  if (node == "CopyStmt") return Copy(body, scope), false;
  if (node == "ExplainStmt") return Explain(body, scope), false;
  if (node == "VariableSetStmt") return Set(body), false;
  if (node == "TransactionStmt") return Transaction(body), false;
  if (node == "DropStmt" || node == "CommentStmt" || node == "SecLabelStmt") Drop(body);
  if (node == "PrepareStmt" || node == "DeclareCursorStmt") {
    Inner(body["query"], scope, true);
    return false;
  }
  if (node == "CreateTableAsStmt") Relation(body["into"]["rel"], true);
  Members(body, scope);
  if (kind.writes_relations) {
    for (auto& relation : out_.relations) relation.written = true;
  }
  return false;
}

void Walker::Inner(json::Value query, const Scope& scope, bool runs) {
  auto statement = query.first();
  if (!statement) return;
  if (runs) {
    out_.unbounded |= Statement(statement.key(), statement, scope, false);
    return;
  }
  // Looked at, not run: what it touches counts, what it would do does not.
  op::SqlStatement quiet;
  quiet.effect = Effect::read;
  Walker walker(quiet);
  walker.Statement(statement.key(), statement, scope, true);
  overflow_ |= walker.overflow();
  for (auto& r : quiet.relations) AddRelation(r.name, false);
  auto add = [](auto& to, auto& from) { to.insert(to.end(), from.begin(), from.end()); };
  add(out_.columns, quiet.columns);
  add(out_.functions, quiet.functions);
  add(out_.risky, quiet.risky);
  out_.star |= quiet.star;
}

bool Walker::Select(json::Value body, const Scope& outer) {
  if (!body) return false;
  Scope scope{.outer = &outer};
  With(body["withClause"], scope);
  if (auto into = body["intoClause"]) {
    Relation(into["rel"], true);
    Raise(Effect::ddl);
    Nest("CREATE");
  }
  if (body["lockingClause"]) {
    Raise(Effect::write);
    Nest("SELECT FOR UPDATE");
  }
  if (body["larg"]) return SelectArms(body, scope);
  From(body["fromClause"], scope);
  std::vector<std::string> outputs;
  bool before = std::exchange(rows_, false);
  for (auto target = body["targetList"].first(); target; target = target.next()) {
    auto value = target["ResTarget"]["val"];
    if (auto name = Text(target["ResTarget"]["name"]); !name.empty())
      outputs.push_back(std::move(name));
    Any(value, scope);
  }
  // A sub-select as a value gives its rows away too, gathered by array(…) or an aggregate.
  bool unbounded = std::exchange(rows_, before);
  for (auto sort = body["sortClause"].first(); sort; sort = sort.next()) {
    auto by = sort["SortBy"]["node"];
    auto fields = by["ColumnRef"]["fields"];
    bool output =
        fields.size() == 1 && std::ranges::find(outputs, Name(fields.first())) != outputs.end();
    if (!output) Any(by, scope);
  }
  Members(body, scope,
          {"withClause", "intoClause", "fromClause", "targetList", "sortClause", "lockingClause"});
  rows_ = before;
  bool bounded = Limits(body["limitCount"]) || CanRestrict(body["whereClause"]);
  unbounded |= std::ranges::any_of(scope.from, &FromItem::unbounded);
  return !bounded && unbounded;
}

bool Walker::SelectArms(json::Value body, const Scope& scope) {
  bool unbounded = Select(body["larg"], scope);
  unbounded |= Select(body["rarg"], scope);
  Members(body, scope, {"withClause", "intoClause", "larg", "rarg", "sortClause", "lockingClause"});
  return unbounded && !Limits(body["limitCount"]);
}

void Walker::Target(json::Value range_var, Scope& scope) {
  // The target of a change is always a relation, never a CTE of that name.
  FromItem item{.relation = Relation(range_var, true)};
  auto alias = Text(range_var["alias"]["aliasname"]);
  item.alias = alias.empty() ? Text(range_var["relname"]) : alias;
  scope.from.push_back(std::move(item));
}

void Walker::TargetColumns(json::Value list, const std::string& relation, const Scope& scope) {
  for (auto target = list.first(); target; target = target.next()) {
    AddColumn(relation, Text(target["ResTarget"]["name"]));
    Members(target["ResTarget"], scope);
  }
}

void Walker::Insert(json::Value body, const Scope& outer) {
  Scope scope{.outer = &outer};
  With(body["withClause"], scope);
  Any(body["selectStmt"], scope);
  Target(body["relation"], scope);
  std::string relation = scope.from.back().relation;
  if (body["cols"].size() == 0) out_.star = true;
  TargetColumns(body["cols"], relation, scope);
  if (auto conflict = body["onConflictClause"]) {
    scope.from.push_back({.alias = "excluded", .relation = relation});
    for (auto index = conflict["infer"]["indexElems"].first(); index; index = index.next()) {
      AddColumn(relation, Text(index["IndexElem"]["name"]));
    }
    TargetColumns(conflict["targetList"], relation, scope);
    Members(conflict, scope, {"targetList"});
    if (Text(conflict["action"]) == "ONCONFLICT_UPDATE") Nest("UPDATE");
  }
  Any(body["returningList"], scope);
}

void Walker::Update(json::Value body, const Scope& outer) {
  Scope scope{.outer = &outer};
  With(body["withClause"], scope);
  Target(body["relation"], scope);
  std::string relation = scope.from.back().relation;
  From(body["fromClause"], scope);
  TargetColumns(body["targetList"], relation, scope);
  Any(body["whereClause"], scope);
  Any(body["returningList"], scope);
  out_.missing_where |= !CanRestrict(body["whereClause"]);
}

void Walker::Delete(json::Value body, const Scope& outer) {
  Scope scope{.outer = &outer};
  With(body["withClause"], scope);
  Target(body["relation"], scope);
  From(body["usingClause"], scope);
  Any(body["whereClause"], scope);
  Any(body["returningList"], scope);
  out_.missing_where |= !CanRestrict(body["whereClause"]);
}

void Walker::Merge(json::Value body, const Scope& outer) {
  Scope scope{.outer = &outer};
  With(body["withClause"], scope);
  Target(body["relation"], scope);
  std::string relation = scope.from.back().relation;
  From(body["sourceRelation"], scope);
  Any(body["joinCondition"], scope);
  for (auto when = body["mergeWhenClauses"].first(); when; when = when.next()) {
    auto clause = when["MergeWhenClause"];
    auto command = Text(clause["commandType"]);
    if (command == "CMD_INSERT" && clause["targetList"].size() == 0) out_.star = true;
    if (command.starts_with("CMD_") && command != "CMD_NOTHING") {
      Nest(command.substr(4));
    }
    TargetColumns(clause["targetList"], relation, scope);
    Members(clause, scope, {"targetList"});
  }
  out_.missing_where |= !CanRestrict(body["joinCondition"]);
}

void Walker::Copy(json::Value body, const Scope& outer) {
  bool from = True(body["is_from"]);
  if (auto relation = body["relation"]) {
    std::string name = Relation(relation, from);
    if (body["attlist"].size() == 0) out_.star = true;
    for (auto column = body["attlist"].first(); column; column = column.next())
      AddColumn(name, Name(column));
    if (!from) out_.unbounded = true;
  }
  Scope scope{.outer = &outer};
  if (auto query = body["query"].first())
    out_.unbounded |= Statement(query.key(), query, scope, false);
  Any(body["whereClause"], scope);
  std::string_view kind = True(body["is_program"]) ? "COPY PROGRAM"
                          : body["filename"]       ? "COPY FILE"
                          : from                   ? "COPY FROM"
                                                   : "COPY";
  if (kind != "COPY") Raise(kind == "COPY FROM" ? Effect::write : Effect::admin);
  if (out_.kind == "COPY") {
    out_.kind = kind;
  } else {
    Nest(kind);
  }
}

void Walker::Explain(json::Value body, const Scope& outer) {
  bool runs = false;
  for (auto option = body["options"].first(); option; option = option.next())
    runs |= AsksToRun(option["DefElem"]);
  Inner(body["query"], outer, runs);
}

void Walker::Set(json::Value body) {
  std::string name = Text(body["name"]);
  std::string kind = Text(body["kind"]);
  bool resets = kind == "VAR_RESET" || kind == "VAR_SET_DEFAULT" || kind == "VAR_RESET_ALL";
  if (kind == "VAR_RESET_ALL") name = "all";
  if (kind == "VAR_SET_MULTI" && (name == "TRANSACTION" || name == "SESSION CHARACTERISTICS")) {
    out_.kind = "SET TRANSACTION";
    // A transaction that was opened as read only would become one that writes.
    Raise(Effect::write);
    return;
  }
  if (name == "client_encoding" && !resets &&
      IsUtf8(Text(body["args"].at(0)["A_Const"]["sval"]["sval"])))
    return;
  if (kind != "VAR_RESET_ALL" && IsHarmlessParameter(name)) return;
  Raise(Effect::admin);
  if (name == "role") name = "ROLE";
  if (name == "session_authorization") name = "SESSION AUTHORIZATION";
  out_.kind = (resets ? "RESET " : "SET ") + name;
}

void Walker::Transaction(json::Value body) {
  std::string kind = Text(body["kind"]);
  static constexpr std::string_view kPrefix = "TRANS_STMT_";
  if (kind.starts_with(kPrefix)) kind.erase(0, kPrefix.size());
  std::ranges::replace(kind, '_', ' ');
  bool prepared = kind == "PREPARE" || kind.ends_with("PREPARED");
  if (kind == "PREPARE") kind = "PREPARE TRANSACTION";
  if (kind == "START") kind = "BEGIN";
  if (prepared) Raise(Effect::admin);
  if (!kind.empty()) out_.kind = kind;
}

void Walker::Drop(json::Value body) {
  auto add = [&](json::Value names) {
    std::vector<std::string> parts;
    for (auto part = names.first(); part; part = part.next()) {
      if (auto name = Name(part); !name.empty()) parts.push_back(Identifier(name));
    }
    if (parts.empty()) return;
    std::string text = parts.size() == 1 ? parts[0] : parts[parts.size() - 2] + "." + parts.back();
    AddRelation(text, true);
  };
  for (auto object = body["objects"].first(); object; object = object.next()) {
    if (object["List"]) {
      add(object["List"]["items"]);
    } else if (object["ObjectWithArgs"]) {
      add(object["ObjectWithArgs"]["objname"]);
    } else if (auto name = Name(object); !name.empty()) {
      AddRelation(Identifier(name), true);  // a schema, an extension …
    }
  }
  if (auto object = body["object"]) add(object["List"]["items"]);
}

}  // namespace sallyport::sql
