#include "api/fetcher.h"

#include <boost/asio/post.hpp>
#include <boost/asio/thread_pool.hpp>
#include <stop_token>
#include <utility>

#include "net/event.h"
#include "net/fetch.h"

namespace sallyport::api {
namespace {

/// What one fetch leaves for the coroutine that waits for it; touched on its shard only.
struct Outcome {
  explicit Outcome(boost::asio::any_io_executor executor) : done(executor) {}
  Result<FetchResponse> response = Fail(Errc::upstream_timeout);
  net::Event done;
};

}  // namespace

struct Fetcher::Threads {
  explicit Threads(size_t threads) : pool(threads) {}
  boost::asio::thread_pool pool;
  std::stop_source stop;
};

Fetcher::Fetcher(size_t threads) : threads_(std::make_unique<Threads>(threads)) {}
Fetcher::~Fetcher() { Stop(); }

void Fetcher::Stop() {
  threads_->stop.request_stop();
  threads_->pool.join();
}

Task<FetchResponse> Fetcher::Fetch(FetchRequest request) {
  request.stop = threads_->stop.get_token();
  const auto executor = co_await net::ThisExecutor();
  const auto outcome = std::make_shared<Outcome>(executor);
  const auto limit = 2 * request.timeout;
  boost::asio::post(threads_->pool, [executor, outcome, request = std::move(request)]() mutable {
    auto response = net::FetchUrl(request);
    net::Post(executor, [outcome = std::move(outcome),
                         response = std::make_shared<Result<FetchResponse>>(std::move(response))] {
      outcome->response = std::move(*response);
      outcome->done.Set();
    });
  });
  SALLYPORT_CO_CHECK(co_await outcome->done.Wait(limit));
  co_return std::move(outcome->response);
}

}  // namespace sallyport::api
