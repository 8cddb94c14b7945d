#include "mcp/caller_table.h"

namespace sallyport::mcp {

CallerPtr CallerTable::Find(const Key& key) const {
  const auto it = callers_.find(key);
  return it == callers_.end() ? nullptr : it->second;
}

CallerPtr CallerTable::Insert(Key key, CallerPtr caller) {
  return callers_.try_emplace(std::move(key), std::move(caller)).first->second;
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

}  // namespace sallyport::mcp
