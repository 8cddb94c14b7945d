#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

#include "op/session.h"

namespace sallyport::mcp {

/// The key of a principal: (issuer, subject) and nothing else.
inline std::string PrincipalKey(const op::Principal& who) {
  return who.issuer + '\n' + who.subject;
}

/// What one principal holds at this moment, over all shards and connections.
struct CallerLoad {
  std::atomic<uint32_t> calls{0}, streams{0}, sessions{0}, parked{0};
};

/// One unit of such a load, given back when it dies.
class LoadSlot {
 public:
  LoadSlot() = default;
  LoadSlot(LoadSlot&& other) noexcept
      : load_(std::move(other.load_)), count_(std::exchange(other.count_, nullptr)) {}
  LoadSlot& operator=(LoadSlot&& other) noexcept {
    std::swap(load_, other.load_);
    std::swap(count_, other.count_);
    return *this;
  }
  ~LoadSlot() {
    if (count_ != nullptr) count_->fetch_sub(1);
  }

  /// nullopt if the caller has `limit` of them already.
  static std::optional<LoadSlot> Take(std::shared_ptr<CallerLoad> load,
                                      std::atomic<uint32_t> CallerLoad::* which, uint32_t limit) {
    std::atomic<uint32_t>& count = (*load).*which;
    if (count.fetch_add(1) >= limit) {
      count.fetch_sub(1);
      return std::nullopt;
    }
    LoadSlot slot;
    slot.load_ = std::move(load);
    slot.count_ = &count;
    return slot;
  }

 private:
  std::shared_ptr<CallerLoad> load_;
  std::atomic<uint32_t>* count_ = nullptr;
};

/// The loads of all principals that hold something. Thread-safe.
class LoadTable {
 public:
  std::shared_ptr<CallerLoad> Of(const op::Principal& who) {
    const std::lock_guard lock(mutex_);
    if (loads_.size() > swept_ * 2 + 64) {
      std::erase_if(loads_, [](const auto& entry) { return entry.second.expired(); });
      swept_ = loads_.size();
    }
    std::weak_ptr<CallerLoad>& known = loads_[PrincipalKey(who)];
    std::shared_ptr<CallerLoad> load = known.lock();
    if (!load) known = load = std::make_shared<CallerLoad>();
    return load;
  }

 private:
  std::mutex mutex_;
  std::map<std::string, std::weak_ptr<CallerLoad>> loads_;
  size_t swept_ = 0;
};

}  // namespace sallyport::mcp
