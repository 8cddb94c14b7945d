#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "mcp/legacy_session.h"

namespace sallyport::mcp {

/// The protocol sessions of one shard. ONE shard.
class SessionTable {
 public:
  LegacySessionPtr Find(std::string_view id) const;
  void Insert(LegacySessionPtr session) { sessions_[session->id] = std::move(session); }
  LegacySessionPtr Take(std::string_view id);
  std::vector<LegacySessionPtr> TakeIdle(std::chrono::steady_clock::time_point before);
  std::vector<LegacySessionPtr> TakeAll();
  std::vector<LegacySessionPtr> TakeOf(const std::function<bool(const op::Session&)>& which);
  const std::map<std::string, LegacySessionPtr, std::less<>>& all() const { return sessions_; }
  /// Ends the GET streams of all sessions whose credential ended before `now`; what is in them is
  /// still delivered.
  void EndListeners(Nanos now);
  size_t size() const { return sessions_.size(); }

 private:
  std::map<std::string, LegacySessionPtr, std::less<>> sessions_;
};

/// `<shard>.<random>`: visible ASCII, 192 bits of the kernel's random source.
std::string NewSessionId(size_t shard);
/// The shard that an id names; nullopt if it is no id of ours.
std::optional<size_t> ShardOfSession(std::string_view id, size_t shards);

}  // namespace sallyport::mcp
