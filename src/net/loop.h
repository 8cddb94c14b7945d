#pragma once

#include <array>
#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/execution_context.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>

// What the sockets, events and streams of one shard share; internal to net/. Everything here is
// touched by the shard's thread only.

namespace sallyport::net {

using TimePoint = std::chrono::steady_clock::time_point;

/// A link of a circular list; unlinks itself when it dies.
struct Link {
  Link() : prev(this), next(this) {}
  Link(const Link&) = delete;
  ~Link() { Unlink(); }
  bool linked() const { return next != this; }
  void Unlink() {
    prev->next = next, next->prev = prev;
    prev = next = this;
  }
  void InsertBefore(Link& other) {
    prev = other.prev, next = &other;
    prev->next = this, other.prev = this;
  }
  Link* prev;
  Link* next;
};

class Loop;

/// A point in time after which a function runs on the shard, at most 20 ms late. Moving it later is
/// one store: a keep-alive connection moves its deadlines with each request, and a timer of the
/// operating system per move would cost more than the request.
class Deadline : private Link {
 public:
  Deadline(Loop& loop, std::function<void()> expired) : loop_(loop), expired_(std::move(expired)) {}

  void Set(TimePoint when);
  void SetAfter(std::chrono::milliseconds delay);
  void Clear() { due_ = kNever; }

 private:
  friend class Loop;
  static constexpr uint64_t kNever = ~uint64_t(0);
  Loop& loop_;
  std::function<void()> expired_;
  uint64_t due_ = kNever;  // tick at which it expires
  uint64_t slot_ = 0;      // tick whose slot it is linked into, ≤ due_ where linked
};

/// The deadlines of a shard in a wheel of 10 ms ticks, and the list of its parked coroutines, so
/// that a loop that ends can destroy them. A service of the io_context.
class Loop final : public boost::asio::execution_context::service {
 public:
  using key_type = Loop;
  inline static boost::asio::execution_context::id id;

  explicit Loop(boost::asio::execution_context& context);
  /// The loop behind `executor`, which must be that of an io_context.
  static Loop& Of(const boost::asio::any_io_executor& executor);

  boost::asio::io_context& context() { return context_; }

 private:
  friend class Deadline;
  friend class Parking;
  static constexpr size_t kSlots = 1024;
  static constexpr std::chrono::milliseconds kTick{10};

  void shutdown() override;
  uint64_t TickOf(TimePoint when) const;  // rounded up
  uint64_t NowTick() const;               // rounded down
  void Place(Deadline& deadline, uint64_t now);
  void Schedule(uint64_t tick);
  void Turn();

  boost::asio::io_context& context_;
  const TimePoint start_;
  uint64_t done_ = 0;                      // the last tick whose slot was emptied
  uint64_t scheduled_ = Deadline::kNever;  // the tick the timer is set for
  bool turning_ = false;
  std::optional<boost::asio::steady_timer> timer_;
  std::array<Link, kSlots> slots_;
  Link parked_;
};

/// A place where one coroutine waits for a wake-up with a deadline. It must outlive the wait, or
/// rather: when it dies first, the coroutine goes on with `gone`, as it does when its wait is
/// cancelled the Asio way, and when another one comes to wait in its place.
class Parking : private Link {
 public:
  enum class Wake { signalled, timeout, gone };

  explicit Parking(Loop& loop);
  ~Parking();

  boost::asio::awaitable<Wake> Wait(std::chrono::milliseconds limit);
  boost::asio::awaitable<Wake> Wait(TimePoint until);
  /// Waits without a deadline of its own: whoever parks so has set one elsewhere.
  boost::asio::awaitable<Wake> Wait();
  bool occupied() const { return handler_.has_value(); }
  /// Makes the coroutine go on soon.
  void Signal(Wake wake = Wake::signalled);
  /// Makes it go on within this call. Only from a completion handler, never out of a coroutine:
  /// what follows runs on the caller's stack.
  void Resume(Wake wake = Wake::signalled);

 private:
  friend class Loop;
  void Evict() { Signal(Wake::gone); }
  using Handler =
      boost::asio::async_result<boost::asio::use_awaitable_t<boost::asio::any_io_executor>,
                                void(Wake)>::handler_type;
  Handler Take();

  Loop& loop_;
  std::optional<Handler> handler_;
  Deadline deadline_;
};

}  // namespace sallyport::net
