#pragma once

#include <atomic>
#include <compare>
#include <cstdint>
#include <filesystem>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "op/evidence.h"
#include "pg/catalog_loader.h"
#include "sql/catalog.h"

namespace sallyport::pg {

/// A column as RowDescription names it: table OID and attribute number.
struct PanColumn {
  uint32_t relation = 0;
  int16_t column = 0;
  auto operator<=>(const PanColumn&) const = default;
};

/// Where card numbers were found by content, in columns that nobody has classified: the answer to
/// "where is cardholder data?" that configuration alone cannot give (PCI DSS 12.5.2, scope is
/// confirmed by looking). One per connection, shared by all shards; it lives as long as the
/// process. Thread-safe; the lock is taken for results in which something was found, only.
class PanMap {
 public:
  struct Options {
    uint64_t report_at = 3;   // values; fewer may be order numbers that happen to look right
    size_t columns = 10'000;  // known at most; further ones are counted together as `overflow`
    bool classify = false;    // a reported column is treated as classified from then on
    sql::SourceMask mask = sql::SourceMask::last4;
    std::filesystem::path file;  // keeps reported columns beyond the restart; empty: they are lost
  };
  /// Reads `file` if there is one. One that cannot be read counts as empty, with a line of log:
  /// what it held is found again.
  explicit PanMap(Options options);

  struct Entry {
    PanColumn at;
    uint64_t values = 0;
    Nanos first = 0, last = 0;  // wall clock
    bool reported = false;
    std::string name;  // schema.table.column; empty: the snapshot did not know it
  };

  /// `values` card numbers were found in a column of one result. The entry, once per column: when
  /// it is to be reported. A column without an origin (relation 0) counts for nothing. `catalog`
  /// (may be null) has its name.
  std::optional<Entry> Add(PanColumn at, uint64_t values, Nanos now,
                           const sql::Catalog* catalog = nullptr);
  /// What is known, most values first.
  std::vector<Entry> entries() const;
  uint64_t overflow() const { return overflow_.load(std::memory_order_relaxed); }

  /// With `classify`: the reported columns, for LoadCatalog beside the configured ones. Each holds
  /// for the column of its numbers as long as that has the same name: numbers are given anew when a
  /// database is restored from a dump.
  std::vector<ClassifiedColumn> classified() const;
  /// Grows with classified(): a catalog loaded before is to be loaded again.
  uint64_t version() const { return version_.load(std::memory_order_acquire); }
  bool classifies() const { return options_.classify; }

 private:
  void Load();
  void Save() const;

  const Options options_;
  mutable std::mutex mutex_;
  std::map<PanColumn, Entry> columns_;
  std::atomic<uint64_t> version_{0}, overflow_{0};
};

/// "schema.table.column", or the numbers where the name is not known.
std::string PanColumnName(const PanMap::Entry& entry);

/// The entry of the log for a reported column (docs/formats/entry.md, column.found).
op::Evidence ColumnFound(const PanMap::Entry& entry, std::string_view connection, bool classified);

}  // namespace sallyport::pg
