#include "approval/waiters.h"

#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace sallyport::approval {

namespace asio = boost::asio;

class Waiters::Waiter {
 public:
  Waiter(const asio::any_io_executor& executor, std::chrono::steady_clock::time_point deadline)
      : timer(executor, deadline) {}
  asio::steady_timer timer;  // touched on its executor's thread only
};

Waiters::Place Waiters::Add(const asio::any_io_executor& executor,
                            std::chrono::steady_clock::time_point deadline) {
  return waiters_.insert(waiters_.end(), std::make_shared<Waiter>(executor, deadline));
}

void Waiters::WakeAll() {
  for (const std::shared_ptr<Waiter>& waiter : waiters_) {
    // Moving the deadline also wakes one that has not begun to wait yet.
    asio::post(waiter->timer.get_executor(), [waiter] {
      waiter->timer.expires_at(std::chrono::steady_clock::time_point::min());
    });
  }
}

asio::awaitable<void> Waiters::Sleep(std::shared_ptr<Waiter> waiter) {
  boost::system::error_code ignored;  // the deadline, or woken: the owner looks what has changed
  co_await waiter->timer.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
}

}  // namespace sallyport::approval
