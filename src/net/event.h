#pragma once

#include <chrono>
#include <deque>
#include <functional>
#include <memory>
#include <optional>

#include "base/task.h"

namespace sallyport::net {

/// A flag that coroutines of ONE shard wait for. Set() wakes all that wait; stays set until
/// Clear().
class Event {
 public:
  explicit Event(boost::asio::any_io_executor executor);
  ~Event();  // those who wait get `cancelled`
  Event(const Event&) = delete;

  void Set();
  void Clear();
  bool is_set() const;
  /// Completes when set; upstream_timeout after `limit`; cancelled when the Event dies.
  Task<> Wait(std::chrono::milliseconds limit);

 private:
  struct State;
  std::shared_ptr<State> state_;
};

/// A bounded queue between coroutines of ONE shard.
template <class T>
class Queue {
 public:
  explicit Queue(boost::asio::any_io_executor executor, size_t limit = 1024)
      : limit_(limit), ready_(executor) {}

  /// False when full or closed: the caller decides what that means, nothing is dropped silently.
  bool Push(T item) {
    if (closed_ || items_.size() >= limit_) return false;
    items_.push_back(std::move(item));
    ready_.Set();
    return true;
  }
  /// The next item; nullopt once closed and empty; upstream_timeout after `limit`.
  Task<std::optional<T>> Pop(std::chrono::milliseconds limit) {
    while (items_.empty()) {
      if (closed_) co_return std::nullopt;
      ready_.Clear();
      SALLYPORT_CO_CHECK(co_await ready_.Wait(limit));
    }
    T item = std::move(items_.front());
    items_.pop_front();
    co_return std::optional<T>(std::move(item));
  }
  void Close() {
    closed_ = true;
    ready_.Set();
  }
  bool closed() const { return closed_; }
  size_t size() const { return items_.size(); }

 private:
  size_t limit_;
  std::deque<T> items_;
  bool closed_ = false;
  Event ready_;
};

/// Completes after `delay`.
Task<> Sleep(std::chrono::milliseconds delay);

/// Starts `task` on `executor` and forgets it. An exception that leaves it is logged and counted,
/// never lost.
void Spawn(boost::asio::any_io_executor executor, boost::asio::awaitable<void> task);

/// Runs `f` on `executor` soon.
void Post(boost::asio::any_io_executor executor, std::function<void()> f);

/// The executor of the coroutine that asks.
boost::asio::awaitable<boost::asio::any_io_executor> ThisExecutor();

}  // namespace sallyport::net
