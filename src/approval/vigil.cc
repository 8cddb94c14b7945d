#include "approval/vigil.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "approval/desk.h"

namespace sallyport::approval {

namespace asio = boost::asio;

namespace {

/// A vigil that was given up is noticed after this long at the latest.
constexpr std::chrono::seconds kSlice{15};

}  // namespace

struct Vigil::Shared {
  explicit Shared(const asio::any_io_executor& executor) : timer(executor) {}
  asio::steady_timer timer;
  std::optional<Result<State>> outcome;
  bool woken = false, over = false;
};

namespace {

asio::awaitable<void> Listen(std::shared_ptr<Vigil::Shared> shared, Desk& desk, std::string id) {
  while (!shared->over) {
    Result<State> state = co_await desk.Wait(id, std::chrono::steady_clock::now() + kSlice);
    if (shared->over) co_return;
    if (state && *state == State::pending) continue;
    shared->outcome = std::move(state);
    shared->timer.cancel();
    co_return;
  }
}

}  // namespace

Vigil::Vigil(const asio::any_io_executor& executor, Desk& desk, std::string id)
    : shared_(std::make_shared<Shared>(executor)) {
  asio::co_spawn(executor, Listen(shared_, desk, std::move(id)), asio::detached);
}

Vigil::~Vigil() { shared_->over = true; }

asio::awaitable<void> Vigil::Rest(std::chrono::milliseconds limit) {
  const std::shared_ptr<Shared> shared = shared_;
  if (!shared->outcome && !shared->woken) {
    shared->timer.expires_after(limit);
    boost::system::error_code ignored;  // the limit, or woken: the caller looks what has changed
    co_await shared->timer.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
  }
  shared->woken = false;
}

void Vigil::Wake() {
  shared_->woken = true;
  shared_->timer.cancel();
}

std::optional<Result<State>> Vigil::outcome() const { return shared_->outcome; }

}  // namespace sallyport::approval
