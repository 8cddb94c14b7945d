#include "sql/reader.h"

#include <algorithm>
#include <array>
#include <utility>

#include "sql/functions.h"
#include "sql/reach.h"
#include "sql/tree.h"

// Expressions and what their names mean; statements are in reader_statements.cc, FROM in
// reader_from.cc.

namespace sallyport::sql {
namespace {

using Place = Mention::Place;

/// A type that holds the same text: a value cast to it is still a copy.
bool IsTextCast(json::Value type) {
  auto names = type["names"];
  if (names.size() == 0 || type["typmods"] || type["arrayBounds"]) return false;
  auto name = NameOf(names.at(names.size() - 1));
  return name == "text" || name == "varchar" || name == "bpchar";
}

bool IsRangeVar(json::Value v) { return v["relname"] && v["relpersistence"]; }

}  // namespace

void Reader::Refuse(Errc code, std::string detail) {
  if (!out_.refusal) out_.refusal = Error(code, std::move(detail));
}

/// Stars over stars, and joins by all names, grow faster than the text: there is an end to that.
bool Reader::Exhausted() {
  static constexpr size_t kMaxWork = 200'000;
  if (work_ < kMaxWork) return false;
  out_.refusal = Error(Errc::sql_not_maskable, "the statement names too many columns to be judged");
  return true;
}

void Reader::RefuseRaw() {
  if (quiet_ || !context_.catalog.classifies_anything()) return;
  Refuse(Errc::sql_not_maskable,
         "definitions and statement texts of the server may quote classified values: they can only "
         "be selected as they are, not searched or computed with");
}

void Reader::AddColumn(const CatalogRelation& relation, std::string_view column) {
  std::string name = Identifier(relation.schema);
  ((name += '.') += Identifier(relation.name)) += '.';
  name += Identifier(column);
  if (out_.column_set.insert(name).second) out_.columns.push_back(std::move(name));
}

void Reader::Expr(json::Value value, Level& level, Spot spot) {
  if (Exhausted()) return;
  if (value.is(json::Kind::array)) {
    for (auto v = value.first(); v; v = v.next()) Expr(v, level, spot);
  } else if (value.is(json::Kind::object)) {
    if (auto key = value.first().key(); key == "A_Const" || key == "ParamRef") return;
    if (value["limitOption"]) {
      out_.plain = false;
      Select(value, level, false);
    } else if (IsRangeVar(value)) {
      AddUse(value, Use::Role::object);
    } else if (value["funcname"]) {
      Function(value, level, spot, false);
    } else {
      Members(value, level, spot);
    }
  }
}

void Reader::Members(json::Value object, Level& level, Spot spot,
                     std::initializer_list<std::string_view> except) {
  for (auto v = object.first(); v; v = v.next()) {
    if (!v.is(json::Kind::object) && !v.is(json::Kind::array)) continue;
    auto key = v.key();
    if (std::ranges::find(except, key) != except.end()) continue;
    if (key == "ColumnRef") {
      Column(v, level, spot, false);
    } else if (key == "A_Const" || key == "ParamRef" || key == "String") {
      continue;
    } else if (key == "A_Expr") {
      // BETWEEN stands for comparisons.
      bool between = TextOf(v["kind"]).find("BETWEEN") != std::string_view::npos;
      if (between) {
        for (const char* name : {"<", "<=", ">", ">="}) Operator(name);
      } else {
        Operator(v["name"]);
      }
      bool equal = v["name"].size() == 1 && NameOf(v["name"].first()) == "=";
      if (equal && v["lexpr"]["FuncCall"] && IsPlainWord(v["rexpr"])) {
        // Whether a definition is just such a word shows nothing that it quotes.
        Function(v["lexpr"]["FuncCall"], level, spot, true);
        continue;
      }
      Members(v, level, spot, {"name"});
    } else if (key == "A_Indirection") {
      // `(row).f` may call a function f of the row.
      for (auto part = v["indirection"].first(); part; part = part.next()) {
        if (auto name = NameOf(part); !name.empty()) Called({}, name);
      }
      Members(v, level, spot);
    } else if (key == "CaseExpr") {
      if (v["arg"]) Operator("=");
      Expr(v, level, spot);
    } else if (key == "operName" || key == "useOp") {
      Operator(v);
    } else if (key == "SubLink") {
      out_.plain = false;
      Operator(v["operName"]);
      Expr(v["testexpr"], level, spot);
      Select(v["subselect"]["SelectStmt"], level, false);
    } else if (key == "NullTest") {
      // Whether there is a definition shows nothing of it.
      bool quiet = std::exchange(quiet_, quiet_ || v["arg"]["ColumnRef"]);
      Members(v, level, spot);
      quiet_ = quiet;
    } else if (key == "TypeName" || key == "typeName") {
      Cast(v);
    } else if (key.ends_with("Stmt") && v.is(json::Kind::object)) {
      out_.plain = false;
      Query(key, v, level, false);
    } else {
      Expr(v, level, spot);
    }
  }
}

/// A constant string in which no part of a number can be asked for.
bool Reader::IsPlainWord(json::Value value) {
  auto text = value["A_Const"]["sval"]["sval"].string();
  if (!text) return false;
  out_.literal_sensitive = true;
  return std::ranges::none_of(*text, [](char c) { return c >= '0' && c <= '9'; });
}

/// An expression that gives the values in it on as they are, or put together with others: what may
/// be quoted in them is still there to be found in the answer.
void Reader::Carry(json::Value value, Level& level, Spot spot) {
  auto all = [&](json::Value list) {
    for (auto v = list.first(); v; v = v.next()) Carry(v, level, spot);
  };
  if (auto column = value["ColumnRef"]) {
    Column(column, level, spot, true);
  } else if (auto coalesce = value["CoalesceExpr"]) {
    all(coalesce["args"]);
  } else if (auto choice = value["CaseExpr"]) {
    if (choice["arg"]) Operator("=");
    Expr(choice["arg"], level, spot);
    for (auto arm = choice["args"].first(); arm; arm = arm.next()) {
      Expr(arm["CaseWhen"]["expr"], level, spot);
      Carry(arm["CaseWhen"]["result"], level, spot);
    }
    Carry(choice["defresult"], level, spot);
  } else if (auto joined = value["A_Expr"];
             joined && joined["name"].size() == 1 && NameOf(joined["name"].first()) == "||") {
    Operator("||");
    Carry(joined["lexpr"], level, spot);
    Carry(joined["rexpr"], level, spot);
  } else if (auto link = value["SubLink"]; link && !link["testexpr"]) {
    out_.plain = false;
    Select(link["subselect"]["SelectStmt"], level, false);
  } else if (auto call = value["FuncCall"]) {
    auto name = NameOf(call["funcname"].at(call["funcname"].size() - 1));
    bool trims = (name == "btrim" || name == "rtrim") && IsPlainWord(call["args"].at(1));
    bool joins = name == "array_to_string" && IsPlainWord(call["args"].at(1));
    Function(call, level, spot, true, trims || joins);
  } else {
    Expr(value, level, spot);
  }
}

Lineage Reader::Value(json::Value value, Level& level, Spot spot) {
  auto around = std::exchange(flow_, {});
  Spot inside{.place = spot.place == Place::returning ? Place::computed : Place::expression};
  Lineage result;
  if (auto column = value["ColumnRef"]) {
    result = Column(column, level, spot, true);
  } else if (auto cast = value["TypeCast"]; cast && IsTextCast(cast["typeName"])) {
    Cast(cast["typeName"]);
    result = Value(cast["arg"], level, inside);
  } else if (auto link = value["SubLink"]; link && TextOf(link["subLinkType"]) == "EXPR_SUBLINK") {
    out_.plain = false;
    auto rows = Select(link["subselect"]["SelectStmt"], level, false);
    result = rows.columns.size() == 1 && !rows.open ? rows.columns[0].from : flow_.Computed();
  } else {
    Carry(value, level, inside);
    result = flow_.Computed();
  }
  flow_ = around;
  flow_.Merge(result.Computed());
  return result;
}

}  // namespace sallyport::sql
