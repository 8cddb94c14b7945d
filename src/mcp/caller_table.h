#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <tuple>
#include <vector>

#include "gate/gate.h"
#include "identity/verifier.h"
#include "mcp/caller_load.h"
#include "mcp/upstream.h"

namespace sallyport::mcp {

/// Who calls in the modern era, where there is no protocol session: one op::Session per (verified
/// token, connection, remote address), so that the log says who and where once and not with every
/// call.
struct Caller {
  identity::VerifiedPtr token;
  std::shared_ptr<const op::Session> session;
  std::shared_ptr<CallerLoad> load;
  std::map<std::string, std::shared_ptr<UpstreamPeer>, std::less<>>
      peers;  // by what the client can do
  std::chrono::steady_clock::time_point used;
};
using CallerPtr = std::shared_ptr<Caller>;

/// The callers of one shard. ONE shard.
class CallerTable {
 public:
  /// The token's address identifies it: the verifier's cache gives the same object for the same
  /// token, and the table keeps it alive.
  struct Key {
    const identity::VerifiedToken* token;
    std::string connection, address;
    auto operator<=>(const Key&) const = default;
  };

  CallerPtr Find(const Key& key) const;
  /// Returns the one that is there already, if another request was quicker.
  CallerPtr Insert(Key key, CallerPtr caller);
  /// Takes out those that were not used since `before`.
  std::vector<CallerPtr> TakeIdle(std::chrono::steady_clock::time_point before);
  /// Takes out those of whom `which` is true.
  std::vector<CallerPtr> TakeOf(const std::function<bool(const op::Session&)>& which);
  size_t size() const { return callers_.size(); }

 private:
  std::map<Key, CallerPtr> callers_;
};

/// The sessions of modern callers, for all shards: a caller whose requests arrive at several shards
/// is one session in the log. Thread-safe.
class CallerSessions {
 public:
  std::shared_ptr<const op::Session> Find(const CallerTable::Key& key);
  /// Shares `opened`, which Gate::Close ends when its last user has gone; the token lives as long.
  /// Returns the one that is shared already, if another shard was quicker.
  std::shared_ptr<const op::Session> Share(CallerTable::Key key,
                                           std::shared_ptr<const op::Session> opened,
                                           identity::VerifiedPtr token, gate::Gate& gate);

 private:
  std::mutex mutex_;
  std::map<CallerTable::Key, std::weak_ptr<const op::Session>> sessions_;
};

}  // namespace sallyport::mcp
