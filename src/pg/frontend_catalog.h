#pragma once

#include <atomic>
#include <chrono>
#include <memory>
#include <optional>
#include <string>

#include "base/task.h"
#include "pg/catalog_refresh.h"
#include "pg/credentials.h"
#include "pg/pan_map.h"
#include "pg/server.h"
#include "sql/catalog.h"

namespace sallyport::pg {

/// The catalog snapshot of one connection, shared by its sessions on all shards: loaded at first
/// use with the administrator's login, again on a timer and after DDL. One load at a time; who
/// needs no newer one goes on with the last. Thread-safe.
class CatalogKeeper {
 public:
  CatalogKeeper(std::shared_ptr<const ServerAddress> address,
                std::shared_ptr<Credentials> credentials, std::vector<ClassifiedColumn> classified,
                std::shared_ptr<const PanMap> pan_map, std::chrono::milliseconds refresh);

  /// The last snapshot; null before the first load.
  std::shared_ptr<const sql::Catalog> last() const { return last_.load(); }
  /// Whether `catalog`, which the caller holds, is the last one; for a look at each statement.
  bool IsLast(const std::shared_ptr<const sql::Catalog>& catalog) const {
    return newest_.load(std::memory_order_acquire) == catalog.get();
  }
  /// A snapshot that began to be read after `version()` was `since`: what DDL changed before is in
  /// it. Loads if nobody else does. upstream_* when it cannot be read.
  Task<std::shared_ptr<const sql::Catalog>> Newer(uint64_t since);
  /// The snapshot that a session sees of uncommitted changes, read through its own backend; nobody
  /// else gets it.
  Task<std::shared_ptr<const sql::Catalog>> LoadThrough(Server& server);
  /// Changes whenever a load begins.
  uint64_t version() const { return begun_.load(); }
  /// A snapshot not much older than now, for a name that the last one does not have: who mistypes
  /// names does not make the database read its catalog each time.
  Task<std::shared_ptr<const sql::Catalog>> Fresh();
  /// For a session that begins: the version to ask Newer() for first, if the last snapshot is older
  /// than the refresh interval. While there are no sessions nobody refreshes.
  std::optional<uint64_t> Outdated(std::chrono::steady_clock::time_point now) const;
  /// True once per refresh interval: the caller loads in the background.
  bool Due(std::chrono::steady_clock::time_point now);

 private:
  Task<std::shared_ptr<const sql::Catalog>> Load();

  const std::shared_ptr<const ServerAddress> address_;
  const std::shared_ptr<Credentials> credentials_;
  const std::vector<ClassifiedColumn> classified_;
  const std::shared_ptr<const PanMap> pan_map_;
  /// What some load found classified, by number: a column that is renamed stays what it is. Of the
  /// one that loads.
  std::vector<ClassifiedColumn> found_;
  void KeepFound(const sql::Catalog& catalog);
  const std::chrono::milliseconds refresh_;
  std::atomic<std::shared_ptr<const sql::Catalog>> last_;
  std::atomic<const sql::Catalog*> newest_{nullptr};  // that of last_
  std::atomic<bool> loading_{false};
  CatalogMemory memory_;  // of the one that loads
  std::atomic<uint64_t> begun_{0}, done_{0};
  std::atomic<int64_t> loaded_at_{0};    // steady clock, ns; moved on while a refresh is under way
  std::atomic<int64_t> finished_at_{0};  // of the last snapshot
};

}  // namespace sallyport::pg
