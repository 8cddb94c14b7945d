#include <algorithm>
#include <array>
#include <utility>

#include "sql/reach.h"
#include "sql/reader.h"
#include "sql/tree.h"

// What a name means, and what it touches.

namespace sallyport::sql {
namespace {

using Place = Mention::Place;

constexpr auto kSystemColumns =
    std::to_array<std::string_view>({"cmax", "cmin", "ctid", "tableoid", "xmax", "xmin"});
constexpr int32_t kSystemColumn = -2, kUnknownColumn = -3;

}  // namespace

Reader::Match Reader::Find(const Item& item, std::string_view name, int32_t& column) const {
  if (item.relation) {
    for (size_t i = 0; i < item.renames.size(); ++i) {
      if (item.renames[i] == name) return column = static_cast<int32_t>(i), Match::yes;
    }
    const auto& columns = item.relation->columns;
    for (size_t i = item.renames.size(); i < columns.size(); ++i) {
      if (columns[i].name == name) return column = static_cast<int32_t>(i), Match::yes;
    }
    if (std::ranges::binary_search(kSystemColumns, name)) return column = kSystemColumn, Match::yes;
    return Match::no;
  }
  if (item.derived) {
    bool open = item.derived->open;
    for (size_t i = 0; i < item.derived->columns.size(); ++i) {
      const auto& output = item.derived->columns[i];
      if (output.name == name) return column = static_cast<int32_t>(i), Match::yes;
      open |= output.name.empty();
    }
    column = kUnknownColumn;
    return open ? Match::maybe : Match::no;
  }
  column = kUnknownColumn;
  return item.join ? Match::no : Match::maybe;
}

Lineage Reader::Touch(const Item& item, int32_t column, std::string_view name, Spot spot,
                      size_t location, bool bare) {
  Lineage from;
  ++work_;
  if (Exhausted()) return from;
  if (item.relation) {
    if (column == kSystemColumn) {
      out_.uses[static_cast<size_t>(item.use)].system = true;
      return AddColumn(*item.relation, name), from;
    }
    const auto& found = item.relation->columns[static_cast<size_t>(column)];
    AddColumn(*item.relation, found.name);
    auto raw = RawColumn(item.relation->schema, item.relation->name, found.name);
    if (item.relation->readable_by_rules_only && raw != RawValues::none) raw = RawValues::values;
    from.raw = raw == RawValues::quoted;
    if (raw == RawValues::values) RefuseValues(item.relation->name);
    if (found.classified() && !item.excluded && !IsGenerated(location)) {
      from = {.mask = found.mask, .detector = found.detector, .derived = found.derived};
      out_.mentions.push_back({.use = static_cast<uint32_t>(item.use),
                               .column = column,
                               .place = spot.place,
                               .index = spot.index,
                               .location = location,
                               .unnamed = spot.unnamed});
    }
  } else if (item.derived) {
    if (column >= 0) {
      from = item.derived->columns[static_cast<size_t>(column)].from;
    } else {
      for (const auto& output : item.derived->columns) from.Merge(output.from.Computed());
    }
  } else if (!item.catalog_name.empty()) {
    auto raw = RawColumn("pg_catalog", item.catalog_name, name);
    from.raw = raw == RawValues::quoted;
    if (raw == RawValues::values) RefuseValues(item.catalog_name);
  }
  if (from.raw && !bare) RefuseRaw();
  return from;
}

bool Reader::IsGenerated(size_t location) const {
  return context_.generated && Holds(*context_.generated, location);
}

void Reader::RefuseValues(std::string_view relation) {
  if (!context_.catalog.classifies_anything()) return;
  Refuse(Errc::sql_not_maskable, "the relation " + std::string(relation) +
                                     " shows samples of the values of other relations");
}

Lineage Reader::Unqualified(std::string_view name, const Level& level, Spot spot, size_t location,
                            bool bare) {
  Lineage from;
  if (Exhausted()) return from;
  bool found = false, maybe = false;
  size_t before = out_.mentions.size(), matches = 0;
  for (const Level* at = &level; at != nullptr && !found; at = at->outer) {
    for (const auto& item : at->items) {
      int32_t column = kUnknownColumn;
      auto match = Find(item, name, column);
      if (match == Match::no) continue;
      (match == Match::yes ? found : maybe) = true;
      ++matches;
      from.Merge(Touch(item, column, name, spot, location, bare));
    }
  }
  for (size_t i = before; matches == 1 && i < out_.mentions.size(); ++i)
    out_.mentions[i].certain = true;
  if (found) return from;
  // No column of that name: it can be the whole row of what FROM calls so.
  const Level* where = nullptr;
  if (const auto* item = FindItem(name, level, &where)) {
    WholeRow(*item, *where, spot, location);
    return flow_.Computed();
  }
  bool anything = false;
  for (const Level* at = &level; at != nullptr; at = at->outer) anything |= !at->items.empty();
  out_.unknown_names |= anything && !maybe;
  if (anything && out_.column_set.insert(std::string(name)).second)
    out_.columns.push_back(Identifier(name));
  return from;
}

const Reader::Item* Reader::FindItem(std::string_view alias, const Level& level,
                                     const Level** where) const {
  for (const Level* at = &level; at != nullptr; at = at->outer) {
    for (const auto& item : at->items) {
      if (item.alias == alias) return *where = at, &item;
    }
  }
  return nullptr;
}

void Reader::WholeRow(const Item& item, const Level& level, Spot spot, size_t location) {
  Spot inside{.place = spot.place == Place::computed || spot.place == Place::returning
                           ? Place::computed
                           : Place::expression};
  if (item.join) {
    for (size_t i = item.first; i < item.end; ++i)
      WholeRow(level.items[i], level, inside, location);
    return;
  }
  if (item.relation) {
    for (const auto& column : item.relation->columns) {
      AddColumn(*item.relation, column.name);
      if (RawColumn(item.relation->schema, item.relation->name, column.name) != RawValues::none)
        RefuseRaw();
    }
    if (item.relation->classified && !item.excluded) {
      out_.mentions.push_back({.use = static_cast<uint32_t>(item.use),
                               .column = -1,
                               .place = inside.place,
                               .location = location});
      for (const auto& column : item.relation->columns) {
        if (column.classified())
          flow_.Merge({.mask = column.mask, .detector = column.detector, .derived = true});
      }
    }
  } else if (item.derived) {
    for (const auto& output : item.derived->columns) {
      flow_.Merge(output.from.Computed());
      if (output.from.raw) RefuseRaw();
    }
  } else if (RawRelation(item.catalog_name) != RawValues::none) {
    RefuseRaw();
  } else if (item.use >= 0) {
    out_.star = true;
  }
}

bool Reader::StarOf(const Item& item, const Level& level, Spot& spot, size_t location, Rows* rows) {
  if (item.join) return true;  // its members stand in the level themselves
  (void)level;
  auto add = [&](std::string_view name, const Lineage& from) {
    ++work_;
    flow_.Merge(from.Computed());
    if (rows && !Exhausted()) rows->columns.push_back({name, from});
    ++spot.index;
  };
  if (item.relation) {
    for (size_t i = 0; i < item.relation->columns.size(); ++i) {
      const auto& column = item.relation->columns[i];
      bool renamed = i < item.renames.size();
      size_t before = out_.mentions.size();
      auto from = Touch(item, static_cast<int32_t>(i), column.name, spot, location, true);
      for (size_t k = before; k < out_.mentions.size(); ++k) out_.mentions[k].star = true;
      if (from.raw && !rows) RefuseRaw();
      add(renamed ? item.renames[i] : std::string_view(column.name), from);
    }
    return true;
  }
  if (item.derived) {
    for (const auto& output : item.derived->columns) {
      if (output.from.raw && !rows) RefuseRaw();
      add(output.name, output.from);
    }
    return !item.derived->open;
  }
  if (auto raw = RawRelation(item.catalog_name); raw == RawValues::values) {
    RefuseValues(item.catalog_name);
  } else if (raw == RawValues::quoted) {
    if (!rows) RefuseRaw();
    add("", {.raw = true});
  }
  out_.star |= item.use >= 0;
  return false;
}

void Reader::Star(json::Value reference, std::string_view qualifier, const Level& level, Spot spot,
                  Rows* rows) {
  size_t location = LocationOf(reference);
  bool closed = true;
  const Level* where = &level;
  if (qualifier.empty()) {
    for (const auto& item : level.items) closed &= StarOf(item, level, spot, location, rows);
    closed &= !level.merges;
  } else if (const auto* item = FindItem(qualifier, level, &where); !item) {
    out_.unknown_names = true;
    closed = false;
  } else if (item->join) {
    for (size_t i = item->first; i < item->end; ++i)
      closed &= StarOf(where->items[i], *where, spot, location, rows);
    closed &= !where->merges;
  } else {
    closed = StarOf(*item, *where, spot, location, rows);
  }
  if (rows) rows->open |= !closed;
  if (!closed) out_.plain = false;
}

Lineage Reader::Column(json::Value reference, Level& level, Spot spot, bool bare) {
  std::string_view names[4];
  size_t count = 0;
  bool star = false;
  for (auto field = reference["fields"].first(); field; field = field.next()) {
    if (field["A_Star"]) {
      star = true;
    } else if (count < 4) {
      names[count++] = NameOf(field);
    }
  }
  size_t location = LocationOf(reference);
  Lineage from;
  if (count == 1 && !star) {
    from = Unqualified(names[0], level, spot, location, bare);
    flow_.Merge(bare ? from : from.Computed());
    return from;
  }
  size_t qualifiers = star ? count : count - 1;
  if (qualifiers > 1) {
    // schema.relation.column: only what FROM calls by no other name can be meant.
    const Level* where = nullptr;
    const auto* item = FindItem(names[qualifiers - 1], level, &where);
    if (item && item->use >= 0)
      out_.qualified.push_back({static_cast<uint32_t>(item->use), location, qualifiers});
  }
  std::string_view qualifier = qualifiers == 0 ? std::string_view() : names[qualifiers - 1];
  if (star) {
    Star(reference, qualifier, level, {.place = spot.place}, nullptr);
    return from;
  }
  const Level* where = nullptr;
  const auto* item = FindItem(qualifier, level, &where);
  if (!item) {
    out_.unknown_names = true;
    return from;
  }
  std::string_view name = names[qualifiers];
  size_t before = out_.mentions.size();
  size_t first = item->join ? item->first : 0, end = item->join ? item->end : 1;
  bool found = false;
  for (size_t i = first; i < end; ++i) {
    const auto& candidate = item->join ? where->items[i] : *item;
    int32_t column = kUnknownColumn;
    if (Find(candidate, name, column) == Match::no) continue;
    found = true;
    from.Merge(Touch(candidate, column, name, spot, location, bare));
  }
  for (size_t i = before; !item->join && i < out_.mentions.size(); ++i)
    out_.mentions[i].certain = true;
  if (!found) {
    // `row.f` may call a function f of the row.
    out_.unknown_names = true;
    if (out_.column_set.insert(std::string(name)).second) out_.columns.push_back(Identifier(name));
    WholeRow(*item, *where, spot, location);
    Called({}, name);
  }
  flow_.Merge(bare ? from : from.Computed());
  return from;
}

}  // namespace sallyport::sql
