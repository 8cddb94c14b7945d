#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <chrono>
#include <cstdint>
#include <memory>
#include <unordered_map>

#include "base/task.h"
#include "mcp/upstream.h"
#include "net/event.h"

namespace sallyport::mcp {

/// The calls of one peer that are under way: gives each a deadline and a handle to cancel it by.
/// One shard.
class CallTable {
 public:
  CallTable() = default;
  CallTable(const CallTable&) = delete;
  ~CallTable();

  uint64_t next() const { return next_; }
  uint64_t Take() { return next_++; }

  /// Awaits `work`, which is destroyed where it stands (its locals run) when the call is cancelled,
  /// when the limit is over (zero: none), or when the awaiting coroutine is cancelled. `cancelled`
  /// or upstream_timeout.
  Task<UpstreamAnswer> Run(uint64_t token, std::chrono::milliseconds limit,
                           Task<UpstreamAnswer> work);

  void Cancel(uint64_t token);
  void CancelAll();
  size_t size() const { return entries_.size(); }

 private:
  struct Entry;
  uint64_t next_ = 1;
  std::unordered_map<uint64_t, std::shared_ptr<Entry>> entries_;
};

/// Lets coroutines of one shard pass one at a time.
class Turn {
 public:
  explicit Turn(boost::asio::any_io_executor executor) : free_(std::move(executor)) {}

  class Hold {
   public:
    explicit Hold(Turn& turn) : turn_(&turn) {}
    Hold(Hold&& other) noexcept : turn_(std::exchange(other.turn_, nullptr)) {}
    Hold& operator=(Hold&&) = delete;
    ~Hold() {
      if (turn_ != nullptr) turn_->busy_ = false, turn_->free_.Set();
    }

   private:
    Turn* turn_;
  };
  /// Waits until nobody holds it; upstream_timeout after `limit`.
  Task<Hold> Take(std::chrono::milliseconds limit);

 private:
  bool busy_ = false;
  net::Event free_;
};

}  // namespace sallyport::mcp
