#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>
#include "net/http_server.h"
#include "net/raw_client_for_test.h"
#include "net/shards.h"

namespace sallyport::net {

/// A server on a free port, and what it refused.
class HttpServerTest : public testing::Test {
 public:
  struct Seen {
    int status;
    std::string reason, detail;
  };
  /// A handler without state of its own; `this` outlives the server.
  using Handler = boost::asio::awaitable<void> (*)(HttpServerTest&, HttpExchange&);

  void Serve(Handler handler, HttpLimits limits = {}, size_t shard_count = 1) {
    shards_ = std::make_unique<Shards>(shard_count);
    HttpServer::Options options;
    options.address = "127.0.0.1:0";
    options.limits = limits;
    options.handler = [this, handler](HttpExchange& exchange) { return handler(*this, exchange); };
    options.on_refused = [this](const std::string& address, int status, Errc reason,
                                std::string_view detail) {
      EXPECT_EQ(address, "127.0.0.1");
      std::lock_guard lock(mutex_);
      refused_.push_back({status, std::string(ReasonCode(reason)), std::string(detail)});
    };
    auto server = HttpServer::Listen(*shards_, std::move(options));
    ASSERT_TRUE(server) << server.error().detail;
    server_ = std::move(*server);
    shards_->Start();
  }
  void TearDown() override {
    if (shards_) shards_->Stop();
    server_.reset();
    shards_.reset();
  }
  std::vector<Seen> refused() {
    std::lock_guard lock(mutex_);
    return refused_;
  }
  bool Eventually(const std::function<bool()>& f,
                  std::chrono::milliseconds limit = std::chrono::seconds(3)) {
    const auto until = std::chrono::steady_clock::now() + limit;
    while (std::chrono::steady_clock::now() < until) {
      if (f()) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
    return false;
  }

  std::unique_ptr<Shards> shards_;
  std::unique_ptr<HttpServer> server_;
  std::mutex mutex_;
  std::vector<Seen> refused_;
  std::atomic<int> handled_{0};
  std::atomic<int> gone_{0};
  std::atomic<int> failed_{0};
};

/// Answers with "METHOD target|body".
inline boost::asio::awaitable<void> Echo(HttpServerTest&, HttpExchange& exchange) {
  const HttpRequest& request = exchange.request();
  Headers headers{{"Content-Type", "text/plain"}};
  std::string body = request.method + " " + request.target + "|" + request.body;
  (void)co_await exchange.Respond(200, std::move(headers), std::move(body));
}

inline constexpr std::string_view kGet = "GET /a?b=c HTTP/1.1\r\nHost: x\r\n\r\n";

inline std::string Post(const std::string& fields, const std::string& body = "") {
  return "POST / HTTP/1.1\r\nHost: x\r\n" + fields + "\r\n" + body;
}
inline std::string Chunked(const std::string& body) {
  return Post("Transfer-Encoding: chunked\r\n", body);
}

}  // namespace sallyport::net
