#include "sql/walker.h"

#include <algorithm>

#include "sql/functions.h"
#include "sql/statements.h"
#include "sql/tree.h"

// Expressions, columns, functions and the FROM clause; the statements are in statement_walk.cc.

namespace sallyport::sql {
namespace {

std::string Text(json::Value value) { return std::string(value.string().value_or("")); }

/// The text of {"String": {"sval": "x"}}.
std::string Name(json::Value node) { return Text(node["String"]["sval"]); }

bool IsRelation(json::Value v) { return v["relname"] && v["relpersistence"]; }

/// "schema.name" of a list of String nodes; a pg_catalog in front is kept.
std::string Qualified(json::Value names) {
  std::string out;
  for (auto part = names.first(); part; part = part.next()) {
    if (!out.empty()) out += ".";
    out += Identifier(Name(part));
  }
  return out;
}

}  // namespace

void Walker::Any(json::Value value, const Scope& scope) {
  if (value.is(json::Kind::array)) {
    for (auto v = value.first(); v; v = v.next()) Any(v, scope);
    return;
  }
  if (!value.is(json::Kind::object)) return;
  if (value.first().key() == "A_Const") return;
  if (value["limitOption"]) {
    rows_ |= Select(value, scope);
  } else if (IsRelation(value)) {
    Relation(value, false);
  } else if (value["funcname"]) {
    Function(value, scope);
  } else {
    Members(value, scope);
  }
}

void Walker::Members(json::Value object, const Scope& scope,
                     std::initializer_list<std::string_view> except) {
  for (auto v = object.first(); v; v = v.next()) {
    auto key = v.key();
    if (std::ranges::find(except, key) != except.end()) continue;
    if (key == "ColumnRef") {
      Column(v, scope);
    } else if (key == "A_Expr") {
      Operator(v["name"]);
      Members(v, scope, {"name"});
    } else if (key == "operName" || key == "useOp") {
      Operator(v);
    } else if (key == "A_Indirection") {
      for (auto part = v["indirection"].first(); part; part = part.next()) {
        if (part["A_Star"]) out_.star = true;
        if (auto name = Name(part); !name.empty()) AddColumn("", name);
      }
      Members(v, scope);
    } else if (key.ends_with("Stmt") && v.is(json::Kind::object)) {
      rows_ |= Statement(key, v, scope, false);
    } else if (v.is(json::Kind::object) || v.is(json::Kind::array)) {
      Any(v, scope);
    }
  }
}

void Walker::AddColumn(std::string_view relation, std::string_view column) {
  if (column.empty()) return;
  std::string text(relation);
  if (!text.empty()) text += ".";
  text += Identifier(column);
  if (out_.columns.size() >= kMaxColumns) {
    overflow_ = true;
  } else if (columns_.insert(text).second) {
    out_.columns.push_back(std::move(text));
  }
}

void Walker::Column(json::Value reference, const Scope& scope) {
  std::vector<std::string> names;
  bool star = false;
  for (auto field = reference["fields"].first(); field; field = field.next()) {
    if (field["A_Star"]) star = true;
    if (auto name = Name(field); !name.empty()) names.push_back(std::move(name));
  }
  if (star && names.empty()) {
    bool only_derived =
        !scope.from.empty() && std::ranges::all_of(scope.from, [](const FromItem& item) {
          return item.relation.empty() && !item.opaque;
        });
    out_.star |= !only_derived;
    return;
  }
  if (names.size() == 1 && !star) {
    // A name of FROM in an expression is the whole row.
    if (const auto* item = scope.FindAlias(names[0]);
        item && (!item->relation.empty() || item->opaque))
      out_.star = true;
    if (!scope.SeesRelation()) return;
    bool one = scope.from.size() == 1 && !scope.OuterHasFrom();
    AddColumn(one ? scope.from[0].relation : "", names[0]);
    return;
  }
  std::string column = star ? "" : names.back();
  if (!star) names.pop_back();
  if (names.size() == 1) {
    const auto* item = scope.FindAlias(names[0]);
    if (item && item->relation.empty() && !item->opaque)
      return;  // its own columns were read where it is made
    out_.star |= star;
    AddColumn(item ? item->relation : "", column);
    return;
  }
  // schema.table.column, or catalog.schema.table.column: PostgreSQL has no references to other
  // databases.
  out_.star |= star;
  if (names.size() >= 2) {
    AddColumn(Identifier(names[names.size() - 2]) + "." + Identifier(names.back()), column);
  }
}

void Walker::AddFunction(const std::string& name, bool risky) {
  if (out_.functions.size() >= kMaxFunctions) {
    overflow_ = true;
  } else if (functions_.insert(name).second) {
    out_.functions.push_back(name);
    if (risky) out_.risky.push_back(name);
  }
}

void Walker::AddRelation(const std::string& name, bool written) {
  if (out_.relations.size() >= kMaxRelations) {
    overflow_ = true;
    return;
  }
  auto [at, fresh] = relations_.try_emplace(name, out_.relations.size());
  if (fresh) {
    out_.relations.push_back({name, written});
  } else {
    out_.relations[at->second].written |= written;
  }
}

void Walker::Function(json::Value call, const Scope& scope) {
  std::string name = Qualified(call["funcname"]);
  auto risk = RiskOfFunction(name);
  if (name.starts_with("pg_catalog.")) name.erase(0, 11);
  AddFunction(name, risk.risky);
  Raise(risk.effect);
  Members(call, scope, {"funcname"});
}

void Walker::Operator(json::Value names) {
  if (names.size() < 2) return;
  std::string name = Qualified(names);
  if (name.starts_with("pg_catalog.")) return;
  // OPERATOR(schema.=) calls a function of that schema.
  AddFunction("operator " + name, true);
}

std::string Walker::Relation(json::Value range_var, bool written) {
  std::string schema = Text(range_var["schemaname"]);
  std::string name = Identifier(Text(range_var["relname"]));
  if (!schema.empty()) name = Identifier(schema) + "." + name;
  AddRelation(name, written);
  return name;
}

void Walker::FromRelation(json::Value range_var, Scope& scope) {
  FromItem item;
  std::string relname = Text(range_var["relname"]);
  std::string alias = Text(range_var["alias"]["aliasname"]);
  item.alias = alias.empty() ? relname : alias;
  const Cte* cte = range_var["schemaname"] ? nullptr : scope.FindCte(relname);
  if (cte) {
    item.unbounded = cte->unbounded;
  } else {
    item.relation = Relation(range_var, false);
    item.unbounded = true;
    if (range_var["alias"]["colnames"].size() != 0) {
      item.opaque = true;
      out_.star = true;  // renamed columns: any of them may be meant
    }
  }
  scope.from.push_back(std::move(item));
}

void Walker::FromRows(json::Value item, Scope& scope, bool unbounded) {
  scope.from.push_back({.alias = Text(item["alias"]["aliasname"]), .unbounded = unbounded});
}

void Walker::FromJoin(json::Value join, Scope& scope) {
  From(join["larg"], scope);
  From(join["rarg"], scope);
  if (join["isNatural"]) out_.star = true;  // compares every column that both have
  for (auto name = join["usingClause"].first(); name; name = name.next()) AddColumn("", Name(name));
  Any(join["quals"], scope);
  for (const char* key : {"alias", "join_using_alias"}) {
    if (auto alias = Text(join[key]["aliasname"]); !alias.empty()) {
      scope.from.push_back({.alias = alias, .opaque = true});
    }
    if (join[key]["colnames"].size() != 0) out_.star = true;
  }
}

void Walker::From(json::Value item, Scope& scope) {
  if (scope.from.size() >= kMaxRelations) {
    overflow_ = true;
    return;
  }
  if (item.is(json::Kind::array)) {
    for (auto v = item.first(); v; v = v.next()) From(v, scope);
    return;
  }
  if (IsRelation(item)) {
    FromRelation(item, scope);
  } else if (auto relation = item["RangeVar"]) {
    FromRelation(relation, scope);
  } else if (auto join = item["JoinExpr"]) {
    FromJoin(join, scope);
  } else if (auto sub = item["RangeSubselect"]) {
    Scope around{.outer = scope.outer,
                 .ctes = scope.ctes};  // what stands left of it is seen by LATERAL only
    bool lateral = sub["lateral"].boolean().value_or(false);
    bool unbounded = Select(sub["subquery"]["SelectStmt"], lateral ? scope : around);
    FromRows(sub, scope, unbounded);
  } else if (auto sample = item["RangeTableSample"]) {
    From(sample["relation"], scope);
    Members(sample, scope, {"relation", "method"});
  } else {
    for (auto other = item.first(); other; other = other.next()) {
      Members(other, scope);
      FromRows(other, scope, false);
    }
  }
}

void Walker::With(json::Value clause, Scope& scope) {
  if (!clause) return;
  bool recursive = clause["recursive"].boolean().value_or(false);
  auto ctes = clause["ctes"];
  if (ctes.size() > kMaxRelations) {
    overflow_ = true;
    return;
  }
  if (recursive) {
    for (auto v = ctes.first(); v; v = v.next())
      scope.ctes.push_back({Text(v["CommonTableExpr"]["ctename"]), false});
  }
  for (auto v = ctes.first(); v; v = v.next()) {
    auto cte = v["CommonTableExpr"];
    auto query = cte["ctequery"].first();
    bool unbounded = query && Statement(query.key(), query, scope, false);
    Members(cte, scope, {"ctequery"});
    // A name that is not recursive is not visible in its own query: there it is the relation.
    scope.ctes.push_back({Text(cte["ctename"]), unbounded});
  }
}

}  // namespace sallyport::sql
