#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <list>
#include <memory>

namespace sallyport::approval {

/// Coroutines of any shard that wait until something changes. Not thread-safe by itself: Add,
/// Remove and WakeAll are called under the owner's lock; the waiting itself is not.
class Waiters {
 public:
  class Waiter;
  using Place = std::list<std::shared_ptr<Waiter>>::iterator;

  /// Waits on `executor`, the caller's own, until woken or `deadline`.
  Place Add(const boost::asio::any_io_executor& executor,
            std::chrono::steady_clock::time_point deadline);
  void Remove(Place place) { waiters_.erase(place); }
  void WakeAll();
  /// Completes when woken (also if that was before) or at the deadline.
  static boost::asio::awaitable<void> Sleep(std::shared_ptr<Waiter> waiter);

 private:
  std::list<std::shared_ptr<Waiter>> waiters_;
};

}  // namespace sallyport::approval
