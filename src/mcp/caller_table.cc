#include "mcp/caller_table.h"

namespace sallyport::mcp {

CallerPtr CallerTable::Find(const Key& key) const {
  const auto it = callers_.find(key);
  return it == callers_.end() ? nullptr : it->second;
}

CallerPtr CallerTable::Insert(Key key, CallerPtr caller) {
  return callers_.try_emplace(std::move(key), std::move(caller)).first->second;
}

std::vector<CallerPtr> CallerTable::TakeOf(const std::function<bool(const op::Session&)>& which) {
  std::vector<CallerPtr> taken;
  std::erase_if(callers_, [&](auto& entry) {
    if (!which(*entry.second->session)) return false;
    taken.push_back(std::move(entry.second));
    return true;
  });
  return taken;
}

std::vector<CallerPtr> CallerTable::TakeIdle(std::chrono::steady_clock::time_point before) {
  std::vector<CallerPtr> idle;
  for (auto it = callers_.begin(); it != callers_.end();) {
    // A call in progress holds the caller too.
    if (it->second->used < before && it->second.use_count() == 1) {
      idle.push_back(std::move(it->second));
      it = callers_.erase(it);
    } else {
      ++it;
    }
  }
  return idle;
}

std::shared_ptr<const op::Session> CallerSessions::Find(const CallerTable::Key& key) {
  const std::lock_guard lock(mutex_);
  const auto it = sessions_.find(key);
  return it == sessions_.end() ? nullptr : it->second.lock();
}

std::shared_ptr<const op::Session> CallerSessions::Share(CallerTable::Key key,
                                                         std::shared_ptr<const op::Session> opened,
                                                         identity::VerifiedPtr token,
                                                         gate::Gate& gate) {
  // While the session lives its token does, so that the key's address means this token and no later
  // one.
  const op::Session* raw = opened.get();
  const std::shared_ptr<const op::Session> shared(
      raw, [opened = std::move(opened), token = std::move(token),
            &gate](const op::Session* session) { gate.Close(*session); });
  const std::lock_guard lock(mutex_);
  std::erase_if(sessions_, [](const auto& entry) { return entry.second.expired(); });
  auto& place = sessions_[std::move(key)];
  if (auto earlier = place.lock()) return earlier;
  place = shared;
  return shared;
}

}  // namespace sallyport::mcp
