#include "pg/pan_map.h"

#include <algorithm>

namespace sallyport::pg {

std::optional<PanMap::Entry> PanMap::Add(PanColumn at, uint64_t values, Nanos now) {
  if (at.relation == 0 || at.column <= 0 || values == 0) return std::nullopt;
  const std::lock_guard lock(mutex_);
  auto found = columns_.find(at);
  if (found == columns_.end()) {
    if (columns_.size() >= options_.columns) {
      overflow_.fetch_add(values, std::memory_order_relaxed);
      return std::nullopt;
    }
    found = columns_.emplace(at, Entry{.at = at, .first = now}).first;
  }
  Entry& entry = found->second;
  entry.values += values;
  entry.last = now;
  if (entry.reported || entry.values < options_.report_at) return std::nullopt;
  entry.reported = true;
  if (options_.classify) version_.fetch_add(1, std::memory_order_release);
  return entry;
}

std::vector<PanMap::Entry> PanMap::entries() const {
  std::vector<Entry> all;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [at, entry] : columns_) all.push_back(entry);
  }
  std::ranges::sort(all, [](const Entry& a, const Entry& b) {
    return a.values != b.values ? a.values > b.values : a.at < b.at;
  });
  return all;
}

std::vector<ClassifiedColumn> PanMap::classified() const {
  std::vector<ClassifiedColumn> columns;
  if (!options_.classify) return columns;
  const std::lock_guard lock(mutex_);
  for (const auto& [at, entry] : columns_) {
    if (!entry.reported) continue;
    columns.push_back({.pattern = {},
                       .detector = options_.detector,
                       .mask = options_.mask,
                       .relation = at.relation,
                       .column = at.column});
  }
  return columns;
}

std::string PanColumnName(PanColumn at, const sql::Catalog* catalog) {
  const auto* relation = catalog != nullptr ? catalog->FindOid(at.relation) : nullptr;
  if (relation != nullptr) {
    for (const auto& column : relation->columns) {
      if (column.number == at.column)
        return relation->schema + "." + relation->name + "." + column.name;
    }
  }
  return "relation " + std::to_string(at.relation) + " column " + std::to_string(at.column);
}

op::Evidence ColumnFound(const PanMap::Entry& entry, std::string_view connection,
                         const sql::Catalog* catalog, bool classified) {
  op::Evidence evidence;
  evidence.type = op::EventType::column_found;
  evidence.at = entry.last;
  evidence.connection = connection;
  evidence.resource = PanColumnName(entry.at, catalog);
  evidence.count = entry.values;
  evidence.detail = classified ? "card numbers in a column that is not classified; it is until the "
                                 "restart"
                               : "card numbers in a column that is not classified";
  return evidence;
}

}  // namespace sallyport::pg
