#pragma once

#include <atomic>
#include <compare>
#include <cstdint>
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
    bool classify = false;    // a reported column is treated as classified until the restart
    std::string detector = "pan";
    sql::SourceMask mask = sql::SourceMask::last4;
  };
  explicit PanMap(Options options) : options_(std::move(options)) {}

  struct Entry {
    PanColumn at;
    uint64_t values = 0;
    Nanos first = 0, last = 0;
    bool reported = false;
  };

  /// `values` card numbers were found in a column of one result. The entry, once per column: when
  /// it is to be reported. A column without an origin (relation 0) counts for nothing.
  std::optional<Entry> Add(PanColumn at, uint64_t values, Nanos now);
  /// What is known, most values first.
  std::vector<Entry> entries() const;
  uint64_t overflow() const { return overflow_.load(std::memory_order_relaxed); }

  /// With `classify`: the reported columns, for LoadCatalog beside the configured ones.
  std::vector<ClassifiedColumn> classified() const;
  /// Grows with classified(): a catalog loaded before is to be loaded again.
  uint64_t version() const { return version_.load(std::memory_order_acquire); }
  bool classifies() const { return options_.classify; }

 private:
  const Options options_;
  mutable std::mutex mutex_;
  std::map<PanColumn, Entry> columns_;
  std::atomic<uint64_t> version_{0}, overflow_{0};
};

/// "schema.table.column", or the numbers where `catalog` (may be null) does not know them.
std::string PanColumnName(PanColumn at, const sql::Catalog* catalog);

/// The entry of the log for a reported column (docs/formats/entry.md, column.found).
op::Evidence ColumnFound(const PanMap::Entry& entry, std::string_view connection,
                         const sql::Catalog* catalog, bool classified);

}  // namespace sallyport::pg
