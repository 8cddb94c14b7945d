#include <algorithm>
#include <utility>

#include "sql/reach.h"
#include "sql/reader.h"

// Common table expressions and FROM.

namespace sallyport::sql {
namespace {

bool True(json::Value value) { return value.boolean().value_or(false); }

/// Renames the first columns, as in `q(a, b)`.
void Rename(Rows& rows, json::Value names) {
  size_t i = 0;
  for (auto name = names.first(); name; name = name.next(), ++i) {
    if (i < rows.columns.size()) {
      rows.columns[i].name = NameOf(name);
    } else {
      // More of them than are known here: one of the unknown columns has this name.
      Lineage any;
      for (const auto& column : rows.columns) any.Merge(column.from.Computed());
      rows.columns.push_back({NameOf(name), any});
    }
  }
}

}  // namespace

const Rows* Reader::Keep(Rows rows) {
  rows_.push_back(std::move(rows));
  return &rows_.back();
}

void Reader::With(json::Value clause, Level& level) {
  if (!clause) return;
  out_.plain = false;
  bool recursive = True(clause["recursive"]);
  auto ctes = clause["ctes"];
  auto declare = [&](std::string_view name, const Rows* rows) {
    ctes_.push_back({name, rows, level.ctes});
    level.ctes = &ctes_.back();
  };
  if (recursive) {
    // All names are visible in all queries. What their columns are is not known yet.
    for (auto v = ctes.first(); v; v = v.next())
      declare(TextOf(v["CommonTableExpr"]["ctename"]), Keep({.open = true}));
  }
  for (auto v = ctes.first(); v; v = v.next()) {
    auto cte = v["CommonTableExpr"];
    auto name = TextOf(cte["ctename"]);
    auto query = cte["ctequery"].first();
    Rows rows{.open = true};
    auto aliases = cte["aliascolnames"];
    if (query && recursive && query.key() == "SelectStmt" && query["larg"]) {
      auto before = level.ctes;
      Level inner{.outer = &level, .ctes = level.ctes};
      With(query["withClause"], inner);
      out_.plain = false;
      rows = Recursive(query, inner, name, aliases);
      level.ctes = before;
    } else if (query) {
      rows = Query(query.key(), query, level, false);
    }
    Rename(rows, aliases);
    rows.open |= static_cast<bool>(cte["search_clause"]) || static_cast<bool>(cte["cycle_clause"]);
    // A name that is not recursive is not visible in its own query: there it is the relation.
    declare(name, Keep(std::move(rows)));
  }
}

/// A query that may refer to itself: what does not says what the columns are.
Rows Reader::Recursive(json::Value body, Level& level, std::string_view name, json::Value aliases) {
  Rows left = Select(body["larg"], level, false);
  Rename(left, aliases);
  Rows seed = left;
  seed.open = true;  // SEARCH and CYCLE add columns
  ctes_.push_back({name, Keep(std::move(seed)), level.ctes});
  level.ctes = &ctes_.back();
  Rows right = Select(body["rarg"], level, false);
  bool moved = left.columns.size() != right.columns.size() || right.open;
  Lineage any;
  for (size_t i = 0; i < left.columns.size(); ++i) {
    auto before = left.columns[i].from;
    if (i < right.columns.size()) left.columns[i].from.Merge(right.columns[i].from);
    const auto& after = left.columns[i].from;
    moved |= before.mask != after.mask || before.derived != after.derived;
    any.Merge(after.Computed());
  }
  // A value that moves from one column to another may reach each of them in some round.
  for (auto& column : left.columns) {
    if (moved) column.from.Merge(any);
  }
  left.open |= right.open;
  Members(body, level, {},
          {"withClause", "intoClause", "larg", "rarg", "sortClause", "lockingClause"});
  return left;
}

const CatalogRelation* Reader::Resolve(json::Value range_var, bool fresh) {
  auto name = TextOf(range_var["relname"]);
  auto schema = TextOf(range_var["schemaname"]);
  const auto& catalog = context_.catalog;
  const auto& path = context_.search_path;
  if (schema == "pg_temp") {
    auto at = std::ranges::find_if(path, [](const auto& s) { return s.starts_with("pg_temp_"); });
    if (at != path.end()) schema = *at;
  }
  const CatalogRelation* found = nullptr;
  bool own = schema == "information_schema" || schema == "pg_toast";
  auto look = [&](std::string_view in) {
    found = catalog.Find(in, name);
    own |= !found && in == "pg_catalog" && (!schema.empty() || IsBuiltinRelation(name));
    return found || own;
  };
  if (!schema.empty()) {
    look(schema);
  } else if (std::ranges::find(path, "pg_catalog") != path.end() || !look("pg_catalog")) {
    // PostgreSQL's own relations come first, unless the path says otherwise.
    for (const auto& in : path) {
      if (look(in)) break;
    }
  }
  if (found || fresh) return found;
  if (schema == "pg_toast" && catalog.classifies_anything()) {
    Refuse(Errc::sql_not_maskable, "a TOAST relation holds parts of values of other relations");
  }
  if (!own && !context_.created.contains(std::string(name))) {
    out_.unknown_names = true;
    if (catalog.classifies_anything()) {
      const auto written = range_var["schemaname"];
      if (!out_.refusal)
        out_.missing = (written ? std::string(TextOf(written)) + "." : "") + std::string(name);
      Refuse(Errc::sql_not_maskable, "the relation " + std::string(name) +
                                         " is not known, so nobody can say what it shows");
    }
  }
  return nullptr;
}

uint32_t Reader::AddUse(json::Value range_var, Use::Role role) {
  size_t location = LocationOf(range_var);
  // A part of the tree that is read twice names nothing new.
  for (size_t i = 0; i < out_.uses.size(); ++i) {
    if (out_.uses[i].location == location && out_.uses[i].role == role)
      return static_cast<uint32_t>(i);
  }
  Use use{.relation = Resolve(range_var, false),
          .role = role,
          .location = location,
          .only = !True(range_var["inh"])};
  auto alias = TextOf(range_var["alias"]["aliasname"]);
  const auto& implicit = context_.catalog.content().hidden.implicit;
  if (use.relation && !implicit.empty()) {
    for (const CatalogColumn& column : use.relation->columns) {
      if (implicit.contains(column.type)) RefuseHidden("type of column", column.name);
    }
  }
  use.aliased = !alias.empty();
  use.alias = use.aliased ? alias : TextOf(range_var["relname"]);
  out_.uses.push_back(std::move(use));
  return static_cast<uint32_t>(out_.uses.size() - 1);
}

void Reader::FromRelation(json::Value range_var, Level& level, bool sampled) {
  auto relname = TextOf(range_var["relname"]);
  auto alias = range_var["alias"];
  Item item;
  if (!range_var["schemaname"]) {
    for (const auto* cte = level.ctes; cte != nullptr; cte = cte->next) {
      if (cte->name != relname) continue;
      out_.plain = false;
      item.alias = alias ? TextOf(alias["aliasname"]) : relname;
      Rows rows = *cte->rows;
      Rename(rows, alias["colnames"]);
      item.derived = Keep(std::move(rows));
      level.items.push_back(std::move(item));
      return;
    }
  }
  uint32_t use = AddUse(range_var, Use::Role::source);
  out_.uses[use].sampled = sampled;
  item.alias = out_.uses[use].alias;
  item.use = static_cast<int32_t>(use);
  item.relation = out_.uses[use].relation;
  if (!item.relation) {
    auto schema = TextOf(range_var["schemaname"]);
    bool builtin = schema.empty() ? IsBuiltinRelation(relname)
                                  : schema == "pg_catalog" || schema == "information_schema";
    if (builtin || relname == "pg_stat_statements") item.catalog_name = relname;
  }
  for (auto name = alias["colnames"].first(); name; name = name.next()) {
    item.renames.push_back(NameOf(name));
    if (item.renames.size() > 1664) break;
  }
  if (item.relation && item.renames.size() > item.relation->columns.size()) {
    out_.unknown_names = true;
    item.renames.resize(item.relation->columns.size());
  }
  level.items.push_back(std::move(item));
}

void Reader::FromJoin(json::Value join, Level& level) {
  size_t first = level.items.size();
  From(join["larg"], level);
  size_t middle = level.items.size();
  From(join["rarg"], level);
  size_t end = level.items.size();
  auto merge = [&](std::string_view name) {
    level.merges = true;
    if (Exhausted()) return;
    for (size_t i = first; i < end; ++i) {
      int32_t column;
      if (Find(level.items[i], name, column) == Match::no) continue;
      flow_.Merge(Touch(level.items[i], column, name, {}, 0, false).Computed());
    }
  };
  if (join["usingClause"] || True(join["isNatural"])) Operator("=");
  for (auto name = join["usingClause"].first(); name; name = name.next()) merge(NameOf(name));
  if (True(join["isNatural"])) {
    level.merges = true;
    for (size_t i = first; i < middle; ++i) {
      if (!level.items[i].relation && !level.items[i].derived) out_.star = true;
      std::vector<std::string_view> names = NamesOf(level.items[i]);
      for (auto name : names) {
        bool both = false;
        for (size_t k = middle; k < end; ++k) {
          int32_t column;
          both |= Find(level.items[k], name, column) != Match::no;
        }
        if (both) merge(name);
      }
    }
    // A side whose columns are not known may share any of them.
    for (size_t k = middle; k < end; ++k) {
      if (level.items[k].relation || level.items[k].join) continue;
      if (level.items[k].derived && !level.items[k].derived->open) continue;
      out_.plain = false;
      for (auto name : NamesOf(level.items[k])) merge(name);
    }
    for (size_t i = first; i < end; ++i) {
      const auto& item = level.items[i];
      bool open = !item.join && !item.relation && (!item.derived || item.derived->open);
      if (!open) continue;
      for (size_t k = first; k < end; ++k) {
        for (auto name : NamesOf(level.items[k])) merge(name);
      }
      break;
    }
  }
  Expr(join["quals"], level);
  for (const char* key : {"alias", "join_using_alias"}) {
    auto alias = join[key];
    auto name = TextOf(alias["aliasname"]);
    if (name.empty()) continue;
    out_.plain = false;
    if (alias["colnames"].size() != 0) {
      // Columns of both sides under other names: any of them can be meant anywhere.
      Rows rows{.open = true};
      Level members{.outer = level.outer, .ctes = level.ctes};
      for (size_t i = first; i < end; ++i) {
        members.items.push_back(level.items[i]);
        if (level.items[i].join) members.items.back().end = members.items.back().first;
      }
      Spot spot;
      for (const auto& item : members.items) StarOf(item, members, spot, 0, &rows);
      Lineage any;
      for (auto& column : rows.columns) any.Merge(column.from.Computed());
      for (auto& column : rows.columns) column = {{}, any};
      level.items.push_back({.alias = name, .derived = Keep(std::move(rows))});
    } else {
      level.items.push_back({.alias = name, .join = true, .first = first, .end = end});
    }
  }
}

std::vector<std::string_view> Reader::NamesOf(const Item& item) const {
  std::vector<std::string_view> names;
  if (item.relation) {
    for (size_t i = 0; i < item.relation->columns.size(); ++i) {
      names.push_back(i < item.renames.size() ? item.renames[i]
                                              : std::string_view(item.relation->columns[i].name));
    }
  } else if (item.derived) {
    for (const auto& output : item.derived->columns) {
      if (!output.name.empty()) names.push_back(output.name);
    }
  }
  return names;
}

void Reader::FromFunction(json::Value function, Level& level) {
  out_.plain = false;
  Rows rows{.open = true};
  auto around = std::exchange(flow_, {});
  for (auto call = function["functions"].first(); call; call = call.next()) {
    Expr(call["List"]["items"].at(0), level);
  }
  // Whatever the arguments bring, the rows may hold.
  auto from = flow_.Computed();
  flow_ = around;
  flow_.Merge(from);
  auto alias = TextOf(function["alias"]["aliasname"]);
  rows.columns.push_back({{}, from});
  auto item_of = [&](json::Value list) {
    for (auto name = list.first(); name; name = name.next()) {
      auto column = name["ColumnDef"] ? TextOf(name["ColumnDef"]["colname"]) : NameOf(name);
      rows.columns.push_back({column, from});
    }
  };
  item_of(function["coldeflist"]);
  item_of(function["alias"]["colnames"]);
  if (alias.empty()) {
    auto call = function["functions"].first()["List"]["items"].at(0)["FuncCall"]["funcname"];
    for (auto part = call.first(); part; part = part.next()) alias = NameOf(part);
  }
  level.items.push_back({.alias = alias, .derived = Keep(std::move(rows))});
}

void Reader::From(json::Value item, Level& level) {
  if (item.is(json::Kind::array)) {
    for (auto v = item.first(); v; v = v.next()) From(v, level);
    return;
  }
  if (!item || Exhausted()) return;
  if (item["relname"] && item["relpersistence"]) {
    FromRelation(item, level, false);
  } else if (auto relation = item["RangeVar"]) {
    FromRelation(relation, level, false);
  } else if (auto join = item["JoinExpr"]) {
    FromJoin(join, level);
  } else if (auto sub = item["RangeSubselect"]) {
    out_.plain = false;
    // What stands left of it is seen by LATERAL only.
    Level around{.outer = level.outer, .ctes = level.ctes};
    Rows rows = Select(sub["subquery"]["SelectStmt"], True(sub["lateral"]) ? level : around, false);
    Rename(rows, sub["alias"]["colnames"]);
    level.items.push_back(
        {.alias = TextOf(sub["alias"]["aliasname"]), .derived = Keep(std::move(rows))});
  } else if (auto sample = item["RangeTableSample"]) {
    FromRelation(sample["relation"]["RangeVar"], level, true);
    Expr(sample["args"], level);
    Expr(sample["repeatable"], level);
  } else if (auto function = item["RangeFunction"]) {
    FromFunction(function, level);
  } else {
    out_.plain = false;
    for (auto other = item.first(); other; other = other.next()) {
      auto around = std::exchange(flow_, {});
      Expr(other, level);
      auto from = flow_.Computed();
      flow_ = around;
      flow_.Merge(from);
      Rows rows{.columns = {{{}, from}}, .open = true};
      level.items.push_back(
          {.alias = TextOf(other["alias"]["aliasname"]), .derived = Keep(std::move(rows))});
    }
  }
}

}  // namespace sallyport::sql
