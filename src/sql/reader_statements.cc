#include <algorithm>
#include <array>
#include <utility>

#include "sql/reach.h"
#include "sql/reader.h"

// Statements; expressions are in reader.cc.

namespace sallyport::sql {
namespace {

using Place = Mention::Place;

}  // namespace

void Reader::Top(std::string_view node, json::Value body) {
  Level root;
  out_.rows = Query(node, body, root, true);
}

Rows Reader::Query(std::string_view node, json::Value body, const Level& outer, bool top) {
  if (node == "SelectStmt") return Select(body, outer, top);
  if (node == "InsertStmt") return Insert(body, outer, top);
  if (node == "UpdateStmt") return Update(body, outer, top);
  if (node == "DeleteStmt") return Delete(body, outer, top);
  out_.plain = false;
  if (node == "MergeStmt") return Merge(body, outer), Rows{};
  if (node == "CopyStmt") return Copy(body, outer), Rows{};
  if (node == "ExplainStmt" || node == "PrepareStmt" || node == "DeclareCursorStmt") {
    auto query = body["query"].first();
    return query ? Query(query.key(), query, outer, false) : Rows{.open = true};
  }
  if (node == "CreateTableAsStmt") {
    out_.writes = true;
    auto query = body["query"].first();
    if (query) Query(query.key(), query, outer, false);
    Created(body["into"]["rel"], body);
    return {};
  }
  if (node == "ExecuteStmt" && !top && context_.catalog.classifies_anything()) {
    Refuse(Errc::sql_not_maskable,
           "EXECUTE inside another statement: what it gives away cannot be masked there");
  }
  Other(node, body);
  return {.open = true};
}

/// Definitions whose names or code would make the catalog's snapshot say something wrong.
void Reader::Definition(std::string_view node, json::Value body) {
  if (!context_.catalog.classifies_anything()) return;
  bool code = BringsCode(node);
  if (node == "DefineStmt") {
    auto kind = TextOf(body["kind"]);
    code = kind == "OBJECT_AGGREGATE" || kind == "OBJECT_OPERATOR" || kind == "OBJECT_TYPE";
  }
  if (code) {
    Refuse(Errc::sql_not_maskable,
           "code that is sent to the database may read classified columns in ways that cannot be "
           "followed");
  }
  bool moves = node == "AlterObjectSchemaStmt";
  if (node != "RenameStmt" && !moves) return;
  static constexpr auto kHere = std::to_array<std::string_view>(
      {"OBJECT_TABLE", "OBJECT_COLUMN", "OBJECT_VIEW", "OBJECT_INDEX", "OBJECT_SEQUENCE",
       "OBJECT_MATVIEW", "OBJECT_TABCONSTRAINT", "OBJECT_ATTRIBUTE", "OBJECT_TYPE", "OBJECT_POLICY",
       "OBJECT_TRIGGER"});
  auto kind = TextOf(body[moves ? "objectType" : "renameType"]);
  if (std::ranges::find(kHere, kind) == kHere.end()) {
    Refuse(Errc::sql_not_maskable,
           "a name that is known to show nothing classified could come to mean something else");
  }
}

void Reader::Created(json::Value range_var, json::Value statement) {
  // IF NOT EXISTS may find something that is not known here.
  if (statement["if_not_exists"]) return;
  context_.created.insert(std::string(TextOf(range_var["relname"])));
}

void Reader::Other(std::string_view node, json::Value body) {
  Level level;
  out_.literal_sensitive = true;
  Definition(node, body);
  if (node == "ViewStmt") {
    out_.writes = true;
    Created(body["view"], body);
    auto query = body["query"].first();
    if (query) Query(query.key(), query, level, false);
    return;
  }
  if (node == "CreateStmt" || node == "CreateForeignTableStmt") {
    auto made = node == "CreateStmt" ? body : body["base"];
    Created(made["relation"], made);
    Members(made, level, {}, {"relation"});
    return;
  }
  if (node == "CreateSeqStmt") {
    Created(body["sequence"], body);
    return;
  }
  if (node == "CompositeTypeStmt") return;
  if (node == "ExecuteStmt") return Expr(body["params"], level);
  bool unknown = out_.unknown_names;
  auto refusal = out_.refusal;
  Members(body, level, {});
  if (node == "DropStmt" || node == "AlterTableStmt" || node == "RenameStmt" ||
      node == "IndexStmt" || node == "AlterOwnerStmt" || node == "AlterObjectSchemaStmt" ||
      node == "AlterSeqStmt" || node == "VacuumStmt" || node == "LockStmt" ||
      node == "TruncateStmt" || node == "GrantStmt" || node == "CommentStmt") {
    // Nothing of an unknown relation is shown: the server says whether there is one.
    out_.unknown_names = unknown;
    bool touched = std::ranges::any_of(out_.uses, [](const Use& use) { return use.relation; });
    if (!touched) out_.refusal = refusal;
  }
}

Rows Reader::Select(json::Value body, const Level& outer, bool top) {
  Rows rows;
  if (!body || Exhausted()) return {.open = true};
  Level level{.outer = &outer, .ctes = outer.ctes};
  With(body["withClause"], level);
  if (auto into = body["intoClause"]) {
    out_.writes = true;
    out_.plain = false;
    Created(into["rel"], {});
  }
  if (body["larg"]) {
    out_.plain = false;
    return Arms(body, level);
  }
  if (body["lockingClause"] || body["distinctClause"] || body["groupClause"] ||
      body["havingClause"] || body["windowClause"] || body["valuesLists"]) {
    out_.plain = false;
  }
  From(body["fromClause"], level);
  for (const auto& item : level.items) {
    if (item.use >= 0 && body["groupClause"])
      out_.uses[static_cast<size_t>(item.use)].grouped = true;
  }
  auto pinned = std::exchange(pinned_setting_, PinnedSetting(body));
  Targets(body["targetList"], level, top, rows);
  pinned_setting_ = pinned;
  for (auto list = body["valuesLists"].first(); list; list = list.next()) {
    size_t i = 0;
    for (auto v = list["List"]["items"].first(); v; v = v.next(), ++i) {
      if (i >= rows.columns.size()) rows.columns.push_back({});
      rows.columns[i].from.Merge(Value(v, level, {}).Computed());
    }
    rows.open = true;  // column1, column2 …
  }
  SortBy(body["sortClause"], level, rows, top);
  for (const char* key : {"distinctClause", "groupClause"}) {
    for (auto v = body[key].first(); v; v = v.next()) {
      OutputNamed(v, rows, top);
      Expr(v, level);
    }
  }
  Members(body, level, {},
          {"withClause", "intoClause", "fromClause", "targetList", "valuesLists", "sortClause",
           "distinctClause", "groupClause", "lockingClause"});
  return rows;
}

Rows Reader::Arms(json::Value body, Level& level) {
  Rows left = Select(body["larg"], level, false);
  Rows right = Select(body["rarg"], level, false);
  left.open |= right.open || left.columns.size() != right.columns.size();
  for (size_t i = 0; i < left.columns.size() && i < right.columns.size(); ++i) {
    left.columns[i].from.Merge(right.columns[i].from);
  }
  // What sorts a union are its outputs.
  for (auto sort = body["sortClause"].first(); sort; sort = sort.next()) {
    Level outputs{.outer = level.outer, .ctes = level.ctes};
    outputs.items.push_back({.derived = Keep(left)});
    Value(sort["SortBy"]["node"], outputs, {});
  }
  Members(body, level, {},
          {"withClause", "intoClause", "larg", "rarg", "sortClause", "lockingClause"});
  return left;
}

void Reader::Targets(json::Value list, Level& level, bool top, Rows& rows) {
  for (auto target = list.first(); target; target = target.next()) {
    auto result = target["ResTarget"];
    auto value = result["val"];
    auto reference = value["ColumnRef"];
    Spot spot{.place = top ? Place::output : Place::expression,
              .index = static_cast<uint32_t>(rows.columns.size()),
              .unnamed = !result["name"]};
    auto fields = reference["fields"];
    size_t count = fields.size();
    if (count != 0 && fields.at(count - 1)["A_Star"]) {
      auto qualifier = count == 1 ? std::string_view() : NameOf(fields.at(count - 2));
      if (count > 2) {
        const Level* where = nullptr;
        const auto* item = FindItem(qualifier, level, &where);
        if (item && item->use >= 0) {
          out_.qualified.push_back(
              {static_cast<uint32_t>(item->use), LocationOf(reference), count - 1});
        }
      }
      Star(reference, qualifier, level, spot, &rows);
      continue;
    }
    if (auto indirection = value["A_Indirection"]["indirection"]) {
      auto last = indirection.at(indirection.size() - 1);
      if (last["A_Star"]) {  // all columns of a composite value
        rows.open = true;
        out_.plain = false;
      }
    }
    auto name = result["name"] ? TextOf(result["name"]) : FigureName(value);
    auto from = Value(value, level, spot);
    rows.columns.push_back({name, from});
  }
}

void Reader::OutputNamed(json::Value node, const Rows& rows, bool top) {
  if (!top) return;
  auto fields = node["ColumnRef"]["fields"];
  if (fields.size() == 1) {
    auto name = NameOf(fields.first());
    for (const auto& output : rows.columns) {
      if (output.name == name && output.from.classified()) out_.plain = false;
    }
  } else if (auto constant = node["A_Const"]) {
    bool any =
        std::ranges::any_of(rows.columns, [](const Output& o) { return o.from.classified(); });
    if (!any && !rows.open) return;
    // The position of an output.
    out_.literal_sensitive = true;
    auto position = static_cast<size_t>(constant["ival"]["ival"].integer().value_or(0));
    if (position == 0 || position > rows.columns.size() ||
        rows.columns[position - 1].from.classified()) {
      out_.plain = false;
    }
  }
}

void Reader::SortBy(json::Value list, Level& level, const Rows& rows, bool top) {
  for (auto sort = list.first(); sort; sort = sort.next()) {
    auto node = sort["SortBy"]["node"];
    OutputNamed(node, rows, top);
    auto fields = node["ColumnRef"]["fields"];
    bool output = fields.size() == 1 && std::ranges::any_of(rows.columns, [&](const Output& o) {
                    return o.name == NameOf(fields.first());
                  });
    if (!output) Value(node, level, {});
    Operator(sort["SortBy"]["useOp"]);
  }
}

}  // namespace sallyport::sql
