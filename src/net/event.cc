#include "net/event.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <list>

#include "net/exception.h"
#include "net/loop.h"

namespace sallyport::net {

namespace asio = boost::asio;

struct Event::State {
  explicit State(Loop& l) : loop(l) {}
  void WakeAll(Parking::Wake wake) {
    for (Parking* waiter : waiters) waiter->Signal(wake);
  }
  Loop& loop;
  bool set = false;
  bool dead = false;
  std::list<Parking*> waiters;
};

namespace {

/// Takes a waiter off the list however its coroutine ends.
class Registered {
 public:
  Registered(std::list<Parking*>& list, Parking& parking)
      : list_(list), at_(list.insert(list.end(), &parking)) {}
  Registered(const Registered&) = delete;
  ~Registered() { list_.erase(at_); }

 private:
  std::list<Parking*>& list_;
  std::list<Parking*>::iterator at_;
};

}  // namespace

Event::Event(asio::any_io_executor executor)
    : state_(std::make_shared<State>(Loop::Of(executor))) {}

Event::~Event() {
  state_->dead = true;
  state_->WakeAll(Parking::Wake::gone);
}

void Event::Set() {
  state_->set = true;
  state_->WakeAll(Parking::Wake::signalled);
}

void Event::Clear() { state_->set = false; }

bool Event::is_set() const { return state_->set; }

Task<> Event::Wait(std::chrono::milliseconds limit) {
  const std::shared_ptr<State> state = state_;  // the Event may die while we wait
  if (state->set) co_return Result<>();
  Parking parking(state->loop);
  const Registered registered(state->waiters, parking);
  switch (co_await parking.Wait(limit)) {
    case Parking::Wake::signalled:
      co_return Result<>();
    case Parking::Wake::timeout:
      co_return Fail(Errc::upstream_timeout);
    case Parking::Wake::gone:
      break;
  }
  co_return Fail(Errc::cancelled);
}

Task<> Sleep(std::chrono::milliseconds delay) {
  Parking parking(Loop::Of(co_await asio::this_coro::executor));
  if (co_await parking.Wait(delay) == Parking::Wake::gone) co_return Fail(Errc::cancelled);
  co_return Result<>();
}

void Spawn(asio::any_io_executor executor, asio::awaitable<void> task) {
  asio::co_spawn(executor, std::move(task),
                 [](std::exception_ptr error) { ReportException(error, "net.exception"); });
}

void Post(asio::any_io_executor executor, std::function<void()> f) {
  asio::post(executor, std::move(f));
}

asio::awaitable<asio::any_io_executor> ThisExecutor() {
  co_return co_await asio::this_coro::executor;
}

}  // namespace sallyport::net
