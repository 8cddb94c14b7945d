#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/snapshot.h"
#include "gate/refusals.h"
#include "pg/cancel_keys.h"
#include "pg/frontend.h"
#include "pg/frontend_catalog.h"
#include "sql/analyze.h"

namespace sallyport::pg {

class Session;

/// What can change while serving.
struct Settings {
  std::shared_ptr<const mask::Masker> masker;
  FrontendLimits limits;
};

/// The counters of one session that other threads read.
struct Figures {
  std::atomic<uint64_t> statements{0}, refused{0}, rows{0}, bytes{0}, masked{0};
  std::atomic<char> state{'I'};      // transaction status, as ReadyForQuery says it
  std::atomic<bool> running{false};  // a request is not answered yet
};

/// One configured connection with what its sessions share.
struct Place {
  Place(FrontendConnection config, size_t shards, size_t statement_bytes);

  FrontendConnection config;
  CatalogKeeper catalog;
  std::vector<std::unique_ptr<sql::Analyzer>> analyzers;  // one per shard
};

/// Who is connected. Thread-safe.
class Registry {
 public:
  struct Entry {
    std::weak_ptr<Session> session;
    std::shared_ptr<const op::Session> who;
    std::shared_ptr<Figures> figures;
    boost::asio::any_io_executor executor;
  };

  /// limit_exceeded: the caller has as many sessions as allowed.
  Result<uint64_t> Reserve(const op::Principal& who, uint32_t most);
  void Fill(uint64_t id, Entry entry);
  void Remove(uint64_t id);
  std::vector<SessionInfo> List(
      const std::function<bool(const op::Session&)>& which = nullptr) const;
  size_t size() const;
  /// By connection: what its sessions did, also those that have ended.
  std::map<std::string, ConnectionFigures> Totals() const;
  /// Posts f(session) to the shard of each session that `which` picks; how many.
  size_t ForEach(const std::function<bool(const op::Session&)>& which,
                 const std::function<void(Session&)>& f);

 private:
  struct Slot {
    std::string caller;
    Entry entry;
  };
  mutable std::mutex mutex_;
  uint64_t next_ = 1;
  std::map<uint64_t, Slot> slots_;
  std::map<std::string, uint32_t> per_caller_;
  std::map<std::string, ConnectionFigures> ended_;
};

/// The front-end's own state, seen by its sessions. Outlives them: the shards are stopped first.
struct Front {
  explicit Front(FrontendOptions o);

  std::shared_ptr<const Settings> settings() const { return current.load(); }

  FrontendOptions options;
  Published<Settings> current;
  std::map<std::string, std::unique_ptr<Place>, std::less<>> places;
  Registry registry;
  CancelKeys keys;
  gate::Refusals refusals;
  std::atomic<bool> draining{false};
};

/// Whether some rule lets `who` do something there.
bool MayEnter(const Front& front, const Place& place, const op::Principal& who);

/// One accepted connection, from its first byte to its end.
boost::asio::awaitable<void> ServeConnection(Front& front, std::shared_ptr<net::Stream> stream,
                                             std::string peer);

}  // namespace sallyport::pg
