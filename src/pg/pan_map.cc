#include "pg/pan_map.h"

#include <algorithm>
#include <utility>

#include "json/document.h"
#include "ledger/file.h"
#include "obs/log.h"

namespace sallyport::pg {
namespace {

/// Of no configured detector: what configuration says of a table is not answered by what was found.
constexpr std::string_view kDetector = "(found)";

std::string NameOf(PanColumn at, const sql::Catalog* catalog) {
  const auto* relation = catalog != nullptr ? catalog->FindOid(at.relation) : nullptr;
  if (relation == nullptr) return {};
  for (const auto& column : relation->columns) {
    if (column.number == at.column)
      return relation->schema + "." + relation->name + "." + column.name;
  }
  return {};
}

}  // namespace

PanMap::PanMap(Options options) : options_(std::move(options)) {
  if (!options_.file.empty()) Load();
}

void PanMap::Load() {
  const auto text = ledger::ReadFile(options_.file);
  if (!text && text.error().code == Errc::not_found) return;
  const auto doc = text ? json::Document::Parse(*text) : std::unexpected(text.error());
  if (!doc || doc->root()["v"].integer() != 1) {
    obs::Log(obs::Level::error, "pg.pan_map_unreadable", {{"file", options_.file.string()}});
    return;
  }
  for (json::Value v = doc->root()["columns"].first(); v; v = v.next()) {
    Entry entry{.at = {.relation = static_cast<uint32_t>(v["relation"].integer().value_or(0)),
                       .column = static_cast<int16_t>(v["column"].integer().value_or(0))},
                .values = static_cast<uint64_t>(v["values"].integer().value_or(0)),
                .first = v["first"].integer().value_or(0),
                .last = v["last"].integer().value_or(0),
                .reported = true,
                .name = std::string(v["name"].string().value_or(""))};
    // A column without its name may be any other one by now.
    if (entry.name.empty() || columns_.size() >= options_.columns) continue;
    columns_[entry.at] = std::move(entry);
  }
}

void PanMap::Save() const {
  std::string text = R"({"v":1,"columns":[)";
  bool first = true;
  for (const auto& [at, entry] : columns_) {
    if (!entry.reported || entry.name.empty()) continue;
    text += first ? "\n" : ",\n";
    first = false;
    text += R"({"name":)" + json::Quote(entry.name) + R"(,"relation":)" +
            std::to_string(at.relation) + R"(,"column":)" + std::to_string(at.column) +
            R"(,"values":)" + std::to_string(entry.values) + R"(,"first":)" +
            std::to_string(entry.first) + R"(,"last":)" + std::to_string(entry.last) + '}';
  }
  const auto written = ledger::ReplaceFile(options_.file, text + "]}\n");
  if (!written)
    obs::Log(obs::Level::error, "pg.pan_map_not_kept", {{"detail", written.error().detail}});
}

std::optional<PanMap::Entry> PanMap::Add(PanColumn at, uint64_t values, Nanos now,
                                         const sql::Catalog* catalog) {
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
  if (entry.name.empty()) entry.name = NameOf(at, catalog);
  if (entry.reported || entry.values < options_.report_at) return std::nullopt;
  entry.reported = true;
  if (options_.classify) version_.fetch_add(1, std::memory_order_release);
  if (!options_.file.empty()) Save();
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
    columns.push_back({.pattern = entry.name,
                       .detector = std::string(kDetector),
                       .mask = options_.mask,
                       .relation = at.relation,
                       .column = at.column});
  }
  return columns;
}

std::string PanColumnName(const PanMap::Entry& entry) {
  if (!entry.name.empty()) return entry.name;
  return "relation " + std::to_string(entry.at.relation) + " column " +
         std::to_string(entry.at.column);
}

op::Evidence ColumnFound(const PanMap::Entry& entry, std::string_view connection, bool classified) {
  op::Evidence evidence;
  evidence.type = op::EventType::column_found;
  evidence.at = entry.last;
  evidence.connection = connection;
  evidence.resource = PanColumnName(entry);
  evidence.count = entry.values;
  evidence.detail = classified
                        ? "card numbers in a column that was not classified; it is from now on"
                        : "card numbers in a column that is not classified";
  return evidence;
}

}  // namespace sallyport::pg
