#include <algorithm>
#include <array>
#include <utility>

#include "sql/reach.h"
#include "sql/reader.h"

// Statements; expressions are in reader.cc.

namespace sallyport::sql {
namespace {

using Place = Mention::Place;

bool True(json::Value value) { return value.boolean().value_or(false); }

/// The name of an output column that has no AS, as far as it is simple; empty: not known here.
std::string_view FigureName(json::Value value) {
  if (auto fields = value["ColumnRef"]["fields"]) return NameOf(fields.at(fields.size() - 1));
  if (auto name = value["FuncCall"]["funcname"]) return NameOf(name.at(name.size() - 1));
  return {};
}

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
  if (!body) return {.open = true};
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

uint32_t Reader::Target(json::Value range_var, Level& level) {
  uint32_t use = AddUse(range_var, Use::Role::target);
  const auto& added = out_.uses[use];
  level.items.push_back(
      {.alias = added.alias, .use = static_cast<int32_t>(use), .relation = added.relation});
  return use;
}

void Reader::Written(json::Value list, uint32_t use, bool existing, Level& level) {
  for (auto target = list.first(); target; target = target.next()) {
    auto result = target["ResTarget"];
    auto name = TextOf(result["name"]);
    const auto* relation = out_.uses[use].relation;
    if (relation && !name.empty()) {
      AddColumn(*relation, name);
      const auto* column = relation->Find(name);
      out_.unknown_names |= column == nullptr;
      if (column && column->classified() && existing) {
        out_.mentions.push_back({.use = use,
                                 .column = static_cast<int32_t>(column - relation->columns.data()),
                                 .place = Place::written,
                                 .location = LocationOf(result)});
      }
    } else if (!name.empty()) {
      out_.columns.emplace_back(name);
    }
    Expr(result["indirection"], level);
    Expr(result["val"], level);
  }
}

Rows Reader::Returning(json::Value list, Level& level, bool top) {
  Rows rows;
  (void)top;
  for (auto target = list.first(); target; target = target.next()) {
    auto result = target["ResTarget"];
    auto value = result["val"];
    auto fields = value["ColumnRef"]["fields"];
    size_t count = fields.size();
    Spot spot{.place = Place::returning,
              .index = static_cast<uint32_t>(rows.columns.size()),
              .unnamed = !result["name"]};
    if (count != 0 && fields.at(count - 1)["A_Star"]) {
      auto qualifier = count == 1 ? std::string_view() : NameOf(fields.at(count - 2));
      if (count == 1 && level.items.size() > 1)
        out_.returning_stars.push_back(LocationOf(value["ColumnRef"]));
      Star(value["ColumnRef"], qualifier, level, spot, &rows);
      continue;
    }
    auto name = result["name"] ? TextOf(result["name"]) : FigureName(value);
    auto from = Value(value, level, spot);
    rows.columns.push_back({name, from});
  }
  return rows;
}

Rows Reader::Insert(json::Value body, const Level& outer, bool top) {
  out_.writes = true;
  Level level{.outer = &outer, .ctes = outer.ctes};
  With(body["withClause"], level);
  if (auto query = body["selectStmt"]["SelectStmt"]) {
    bool plain = out_.plain && query["valuesLists"];
    Select(query, level, false);
    out_.plain &= plain;
    // VALUES (…) is as plain as a change can be.
    if (plain && top && !body["withClause"]) out_.plain = true;
  }
  uint32_t use = Target(body["relation"], level);
  const auto* relation = out_.uses[use].relation;
  if (body["cols"].size() == 0) {
    out_.star |= relation == nullptr;
    if (relation) {
      for (const auto& column : relation->columns) AddColumn(*relation, column.name);
    }
  }
  Written(body["cols"], use, false, level);
  if (auto conflict = body["onConflictClause"]) {
    auto item = level.items.back();
    item.alias = "excluded";
    item.excluded = true;
    Level both{.outer = level.outer, .ctes = level.ctes, .items = {level.items.back()}};
    Level inference = both;
    both.items.push_back(item);
    for (auto index = conflict["infer"]["indexElems"].first(); index; index = index.next()) {
      auto name = TextOf(index["IndexElem"]["name"]);
      if (!name.empty() && relation) AddColumn(*relation, name);
      Expr(index["IndexElem"]["expr"], inference);
    }
    Expr(conflict["infer"]["whereClause"], inference);
    Written(conflict["targetList"], use, true, both);
    Expr(conflict["whereClause"], both);
  }
  return Returning(body["returningList"], level, top);
}

Rows Reader::Update(json::Value body, const Level& outer, bool top) {
  out_.writes = true;
  Level level{.outer = &outer, .ctes = outer.ctes};
  With(body["withClause"], level);
  uint32_t use = Target(body["relation"], level);
  From(body["fromClause"], level);
  Written(body["targetList"], use, true, level);
  Expr(body["whereClause"], level);
  return Returning(body["returningList"], level, top);
}

Rows Reader::Delete(json::Value body, const Level& outer, bool top) {
  out_.writes = true;
  Level level{.outer = &outer, .ctes = outer.ctes};
  With(body["withClause"], level);
  Target(body["relation"], level);
  From(body["usingClause"], level);
  Expr(body["whereClause"], level);
  return Returning(body["returningList"], level, top);
}

void Reader::Merge(json::Value body, const Level& outer) {
  out_.writes = true;
  Level level{.outer = &outer, .ctes = outer.ctes};
  With(body["withClause"], level);
  uint32_t use = Target(body["relation"], level);
  From(body["sourceRelation"], level);
  Expr(body["joinCondition"], level);
  for (auto when = body["mergeWhenClauses"].first(); when; when = when.next()) {
    auto clause = when["MergeWhenClause"];
    bool update = TextOf(clause["commandType"]) == "CMD_UPDATE";
    Expr(clause["condition"], level);
    Written(clause["targetList"], use, update, level);
    Expr(clause["values"], level);
  }
}

void Reader::Copy(json::Value body, const Level& outer) {
  Level level{.outer = &outer, .ctes = outer.ctes};
  bool from = True(body["is_from"]);
  if (auto query = body["query"].first()) Query(query.key(), query, level, false);
  auto range_var = body["relation"];
  if (!range_var) return;
  if (from) {
    out_.writes = true;
    uint32_t use = Target(range_var, level);
    const auto* relation = out_.uses[use].relation;
    for (auto name = body["attlist"].first(); name; name = name.next()) {
      if (relation) AddColumn(*relation, NameOf(name));
    }
    if (body["attlist"].size() == 0) {
      out_.star |= relation == nullptr;
      if (relation) {
        for (const auto& column : relation->columns) AddColumn(*relation, column.name);
      }
    }
    Expr(body["whereClause"], level);
    return;
  }
  FromRelation(range_var, level, false);
  const auto item = level.items.back();
  if (item.use < 0) return;
  auto& use = out_.uses[static_cast<size_t>(item.use)];
  use.copied = true;
  if (!item.relation) {
    Spot spot;
    StarOf(item, level, spot, use.location, nullptr);
    return;
  }
  auto copy = [&](size_t i) {
    use.copies.push_back(static_cast<uint32_t>(i));
    Touch(item, static_cast<int32_t>(i), item.relation->columns[i].name, {}, use.location, true);
  };
  for (auto name = body["attlist"].first(); name; name = name.next()) {
    const auto* column = item.relation->Find(NameOf(name));
    out_.unknown_names |= column == nullptr;
    if (column) copy(static_cast<size_t>(column - item.relation->columns.data()));
  }
  if (body["attlist"].size() == 0) {
    for (size_t i = 0; i < item.relation->columns.size(); ++i) copy(i);
  }
}

}  // namespace sallyport::sql
