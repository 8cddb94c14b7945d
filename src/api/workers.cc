#include "api/workers.h"

#include <boost/asio/post.hpp>
#include <boost/asio/thread_pool.hpp>
#include <stop_token>
#include <utility>

#include "net/event.h"
#include "net/fetch.h"

namespace sallyport::api {

struct Workers::Threads {
  explicit Threads(size_t threads) : pool(threads) {}
  boost::asio::thread_pool pool;
  std::stop_source stop;
};

Workers::Workers(size_t threads) : threads_(std::make_unique<Threads>(threads)) {}
Workers::~Workers() { Stop(); }

void Workers::Stop() {
  threads_->stop.request_stop();
  threads_->pool.join();
}

Task<> Workers::Run(std::function<void()> work, std::chrono::milliseconds limit) {
  const auto executor = co_await net::ThisExecutor();
  const auto done = std::make_shared<net::Event>(executor);  // touched on its shard only
  boost::asio::post(threads_->pool, [executor, done, work = std::move(work)]() mutable {
    work();
    net::Post(executor, [done = std::move(done)] { done->Set(); });
  });
  co_return co_await done->Wait(limit);
}

Task<FetchResponse> Workers::Fetch(FetchRequest request) {
  request.stop = threads_->stop.get_token();
  const auto limit = 2 * request.timeout;
  const auto response = std::make_shared<Result<FetchResponse>>(Fail(Errc::upstream_timeout));
  SALLYPORT_CO_CHECK(co_await Run(
      [response, request = std::move(request)] { *response = net::FetchUrl(request); }, limit));
  co_return std::move(*response);
}

}  // namespace sallyport::api
