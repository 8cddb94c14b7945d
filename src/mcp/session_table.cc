#include "mcp/session_table.h"

#include <charconv>

#include "base/ids.h"
#include "mcp/call.h"

namespace sallyport::mcp {

LegacySessionPtr SessionTable::Find(std::string_view id) const {
  const auto it = sessions_.find(id);
  return it == sessions_.end() ? nullptr : it->second;
}

LegacySessionPtr SessionTable::Take(std::string_view id) {
  const auto it = sessions_.find(id);
  if (it == sessions_.end()) return nullptr;
  LegacySessionPtr session = std::move(it->second);
  sessions_.erase(it);
  return session;
}

std::vector<LegacySessionPtr> SessionTable::TakeIdle(std::chrono::steady_clock::time_point before) {
  std::vector<LegacySessionPtr> idle;
  for (auto it = sessions_.begin(); it != sessions_.end();) {
    bool busy = false;
    for (const auto& [id, call] : it->second->calls) busy |= !call.expired();
    for (const auto& [number, stream] : it->second->listeners) busy |= stream->attached();
    if (it->second->used < before && !busy) {
      idle.push_back(std::move(it->second));
      it = sessions_.erase(it);
    } else {
      ++it;
    }
  }
  return idle;
}

std::vector<LegacySessionPtr> SessionTable::TakeAll() {
  std::vector<LegacySessionPtr> all;
  for (auto& [id, session] : sessions_) all.push_back(std::move(session));
  sessions_.clear();
  return all;
}

std::vector<LegacySessionPtr> SessionTable::TakeOf(
    const std::function<bool(const op::Session&)>& which) {
  std::vector<LegacySessionPtr> taken;
  std::erase_if(sessions_, [&](auto& entry) {
    if (!which(*entry.second->session)) return false;
    taken.push_back(std::move(entry.second));
    return true;
  });
  return taken;
}

void SessionTable::EndListeners(Nanos now) {
  for (auto& [id, session] : sessions_) {
    if (session->authenticated_until > now) continue;
    for (auto& [number, stream] : session->listeners) stream->End();
  }
}

std::string NewSessionId(size_t shard) { return std::to_string(shard) + '.' + NewHandle(24); }

std::optional<size_t> ShardOfSession(std::string_view id, size_t shards) {
  if (id.size() > 64) return std::nullopt;
  size_t shard = 0;
  const auto [end, e] = std::from_chars(id.data(), id.data() + id.size(), shard);
  if (e != std::errc() || end == id.data() + id.size() || *end != '.' || shard >= shards)
    return std::nullopt;
  return shard;
}

}  // namespace sallyport::mcp
