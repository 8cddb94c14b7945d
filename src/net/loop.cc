#include "net/loop.h"

#include <boost/asio/associated_cancellation_slot.hpp>
#include <boost/asio/post.hpp>
#include <cstdio>
#include <cstdlib>
#include <utility>

namespace sallyport::net {

namespace asio = boost::asio;

Loop::Loop(asio::execution_context& context)
    : service(context),
      context_(static_cast<asio::io_context&>(context)),
      start_(std::chrono::steady_clock::now()) {}

Loop& Loop::Of(const asio::any_io_executor& executor) {
  const auto* target = executor.target<asio::io_context::executor_type>();
  if (target == nullptr) {
    std::fputs("net: an executor that is not a shard's\n", stderr);
    std::abort();
  }
  return asio::use_service<Loop>(target->context());
}

void Loop::shutdown() {
  timer_.reset();
  // Destroying a coroutine destroys what it owns, which may unpark or destroy others: one at a
  // time.
  while (parked_.linked()) {
    auto& parking = static_cast<Parking&>(*parked_.next);
    auto handler = parking.Take();
  }
}

uint64_t Loop::TickOf(TimePoint when) const {
  if (when <= start_) return 0;
  return uint64_t((when - start_ + kTick - std::chrono::nanoseconds(1)) / kTick);
}

uint64_t Loop::NowTick() const {
  return uint64_t((std::chrono::steady_clock::now() - start_) / kTick);
}

void Loop::Place(Deadline& deadline, uint64_t now) {
  const uint64_t earliest = std::max(now, done_) + 1;
  deadline.slot_ = std::clamp(deadline.due_, earliest, earliest + kSlots - 2);
  deadline.Unlink();
  deadline.InsertBefore(slots_[deadline.slot_ % kSlots]);
  if (deadline.slot_ < scheduled_ && !turning_) Schedule(deadline.slot_);
}

void Loop::Schedule(uint64_t tick) {
  scheduled_ = tick;
  if (!timer_) timer_.emplace(context_);
  timer_->expires_at(start_ + tick * kTick);
  timer_->async_wait([this](boost::system::error_code error) {
    if (!error) Turn();
  });
}

void Loop::Turn() {
  const uint64_t now = NowTick();
  turning_ = true;
  while (done_ < now) {
    // After a long pause every slot is visited once, not once for each tick missed.
    if (now - done_ > kSlots) done_ = now - kSlots;
    ++done_;
    Link& slot = slots_[done_ % kSlots];
    Link due;
    while (slot.linked()) {
      Link* first = slot.next;
      first->Unlink();
      first->InsertBefore(due);
    }
    while (due.linked()) {
      auto& deadline = static_cast<Deadline&>(*due.next);
      deadline.Unlink();
      if (deadline.due_ == Deadline::kNever) continue;
      if (deadline.due_ > now) {
        Place(deadline, now);
      } else {
        deadline.due_ = Deadline::kNever;
        const auto expired = deadline.expired_;  // it may destroy the deadline
        expired();
      }
    }
  }
  turning_ = false;
  for (uint64_t tick = done_ + 1; tick < done_ + kSlots; ++tick) {
    if (slots_[tick % kSlots].linked()) return Schedule(tick);
  }
  scheduled_ = Deadline::kNever;
}

void Deadline::Set(TimePoint when) {
  due_ = loop_.TickOf(when);
  if (!linked() || slot_ > due_) loop_.Place(*this, loop_.NowTick());
}

void Deadline::SetAfter(std::chrono::milliseconds delay) {
  const auto now = std::chrono::steady_clock::now();
  // "No limit" may be written as the largest value there is.
  if (delay >= std::chrono::hours(24 * 365)) return Clear();
  Set(now + delay);
}

Parking::Parking(Loop& loop) : loop_(loop), deadline_(loop, [this] { Resume(Wake::timeout); }) {}

Parking::~Parking() {
  if (handler_) Signal(Wake::gone);
}

asio::awaitable<Parking::Wake> Parking::Wait(std::chrono::milliseconds limit) {
  Evict();  // before the deadline is set, which goes with whoever waited so far
  deadline_.SetAfter(limit);
  co_return co_await Wait();
}

asio::awaitable<Parking::Wake> Parking::Wait(TimePoint until) {
  Evict();
  deadline_.Set(until);
  return Wait();
}

asio::awaitable<Parking::Wake> Parking::Wait() {
  return asio::async_initiate<const asio::use_awaitable_t<>, void(Wake)>(
      [this](Handler handler) {
        if (auto slot = asio::get_associated_cancellation_slot(handler); slot.is_connected())
          slot.assign([this](asio::cancellation_type) { Signal(Wake::gone); });
        Evict();
        handler_.emplace(std::move(handler));
        InsertBefore(loop_.parked_);
      },
      asio::use_awaitable);
}

Parking::Handler Parking::Take() {
  Unlink();
  deadline_.Clear();
  Handler handler = std::move(*handler_);
  handler_.reset();
  if (auto slot = asio::get_associated_cancellation_slot(handler); slot.is_connected())
    slot.clear();
  return handler;
}

void Parking::Signal(Wake wake) {
  if (!handler_) return;
  asio::post(loop_.context_, [handler = Take(), wake]() mutable { std::move(handler)(wake); });
}

void Parking::Resume(Wake wake) {
  if (!handler_) return;
  Handler handler = Take();
  std::move(handler)(wake);
}

}  // namespace sallyport::net
