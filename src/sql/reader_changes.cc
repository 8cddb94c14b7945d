#include <algorithm>

#include "sql/reader.h"

// INSERT, UPDATE, DELETE, MERGE, COPY.

namespace sallyport::sql {
namespace {

using Place = Mention::Place;

bool True(json::Value value) { return value.boolean().value_or(false); }

}  // namespace

uint32_t Reader::Target(json::Value range_var, Level& level) {
  uint32_t use = AddUse(range_var, Use::Role::target);
  const auto& added = out_.uses[use];
  if (added.relation && added.relation->readable_by_rules_only &&
      context_.catalog.classifies_anything()) {
    Refuse(Errc::sql_not_maskable,
           "a rule of " + added.relation->name + " answers a change of it from classified columns");
  }
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
