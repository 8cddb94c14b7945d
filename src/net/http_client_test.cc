#include "net/http_client.h"

#include <atomic>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <future>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <mutex>
#include <thread>

#include "net/event.h"
#include "net/raw_server_for_test.h"
#include "net/shards.h"

namespace sallyport::net {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;
namespace asio = boost::asio;

constexpr std::string_view kOk = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

struct Answer {
  int status = 0;
  Headers headers;
  Result<std::string> body = std::string();
};

struct Call {
  std::string method = "POST";
  std::string target = "/mcp";
  Headers headers;
  std::string body = "{}";
  uint64_t limit = 64 << 20;
};

asio::awaitable<void> Do(HttpClient& client, Origin origin, Call call,
                         std::promise<Result<Answer>>& done) {
  auto response = co_await client.Send(origin, call.method, call.target, call.headers, call.body);
  if (!response) {
    done.set_value(std::unexpected(response.error()));
    co_return;
  }
  Answer answer;
  answer.status = (*response)->status();
  answer.headers = (*response)->headers();
  answer.body = co_await (*response)->ReadAll(call.limit);
  done.set_value(std::move(answer));
}

class HttpClientTest : public testing::Test {
 public:
  void Start(RawServer::Script script, HttpClient::Options options = {}) {
    server_ = std::make_unique<RawServer>(std::move(script));
    client_ = HttpClient::Make(shards_.executor(0), std::move(options));
    shards_.Start();
  }
  void TearDown() override {
    shards_.Stop();
    client_.reset();
    server_.reset();
  }
  Origin origin() const { return Origin{false, "127.0.0.1", server_->port()}; }
  Result<Answer> Ask(Call call = {}) {
    std::promise<Result<Answer>> done;
    auto future = done.get_future();
    Spawn(shards_.executor(0), Do(*client_, origin(), std::move(call), done));
    return future.get();
  }
  /// The code and text of the failure, wherever it happened.
  Error Failure(Call call = {}) {
    auto answer = Ask(std::move(call));
    if (!answer) return answer.error();
    if (!answer->body) return answer->body.error();
    return Error(Errc::internal, "no failure: " + *answer->body);
  }
  bool Eventually(const std::function<bool()>& f) {
    for (int i = 0; i < 1000; ++i) {
      if (f()) return true;
      std::this_thread::sleep_for(2ms);
    }
    return false;
  }

  // What scripts of the server leave behind: they may run a little longer than the test's body.
  std::mutex mutex_;
  std::string seen_;
  std::atomic<bool> closed_{false};
  std::atomic<size_t> sent_{0};
  std::atomic<int> now_{0}, most_{0};
  Shards shards_{1};
  std::unique_ptr<RawServer> server_;
  std::unique_ptr<HttpClient> client_;
};

TEST(UrlTest, Parses) {
  const auto plain = ParseUrl("http://localhost:3000/mcp?a=b");
  ASSERT_TRUE(plain);
  EXPECT_EQ(plain->origin, (Origin{false, "localhost", 3000}));
  EXPECT_EQ(plain->target, "/mcp?a=b");
  const auto tls = ParseUrl("https://[2001:db8::1]");
  ASSERT_TRUE(tls);
  EXPECT_EQ(tls->origin, (Origin{true, "2001:db8::1", 443}));
  EXPECT_EQ(tls->target, "/");
  EXPECT_EQ(ParseUrl("http://a?b")->target, "/?b");
  EXPECT_EQ(ParseUrl("http://a")->origin.port, 80);
}

TEST(UrlTest, Refuses) {
  for (const char* text : {"",
                           "ftp://a/",
                           "http://",
                           "http:///x",
                           "http://a:0/",
                           "http://a:65536/",
                           "http://a:/",
                           "http://a:8x/",
                           "http://u:p@a/",
                           "http://a/#f",
                           "http://a/ b",
                           "http://a b/",
                           "http://[::1",
                           "http://[a]/",
                           "//a/",
                           "http://a\\b/",
                           "HTTP//a",
                           "http://[::1]x/",
                           "http://\xc3\xa9/",
                           "http://a/\n"}) {
    const auto url = ParseUrl(text);
    ASSERT_FALSE(url) << text;
    EXPECT_EQ(url.error().code, Errc::config_invalid);
  }
  EXPECT_THAT(ParseUrl("http://user:hunter2@a/").error().detail, Not(HasSubstr("hunter2")));
}

TEST_F(HttpClientTest, SendsAndPools) {
  Start([this](int fd, int) {
    for (std::string request; !(request = RawServer::ReadRequest(fd)).empty();) {
      {
        std::lock_guard lock(mutex_);
        seen_ = request;
      }
      RawServer::Send(fd, "HTTP/1.1 202 Accepted\r\nX-A: b\r\nContent-Length: 2\r\n\r\nok");
    }
  });
  for (int i = 0; i < 5; ++i) {
    Call call;
    call.headers = Headers{{"Accept", "application/json"}};
    const auto answer = Ask(call);
    ASSERT_TRUE(answer) << answer.error().detail;
    EXPECT_EQ(answer->status, 202);
    EXPECT_EQ(answer->headers.Find("x-a"), "b");
    EXPECT_EQ(answer->body, "ok");
  }
  std::lock_guard lock(mutex_);
  EXPECT_EQ(seen_, "POST /mcp HTTP/1.1\r\nHost: 127.0.0.1:" + std::to_string(server_->port()) +
                       "\r\nAccept: application/json\r\nContent-Length: 2\r\n\r\n{}");
  EXPECT_EQ(server_->accepted(), 1);
  EXPECT_EQ(client_->connections(), 1u);
}

TEST_F(HttpClientTest, ResolvesNames) {
  Start([](int fd, int) {
    while (!RawServer::ReadRequest(fd).empty()) RawServer::Send(fd, kOk);
  });
  std::promise<Result<Answer>> done, failed;
  auto future = done.get_future(), failure = failed.get_future();
  Spawn(shards_.executor(0), Do(*client_, Origin{false, "localhost", server_->port()}, {}, done));
  const auto answer = future.get();
  ASSERT_TRUE(answer) << answer.error().detail;
  EXPECT_EQ(answer->body, "ok");
  Spawn(shards_.executor(0), Do(*client_, Origin{false, "no-such-host.invalid", 80}, {}, failed));
  const auto unknown = failure.get();
  ASSERT_FALSE(unknown);
  EXPECT_EQ(unknown.error().code, Errc::upstream_unreachable);
  EXPECT_THAT(unknown.error().detail, StartsWith("no-such-host.invalid: "));
}

TEST_F(HttpClientTest, BodyForms) {
  Start([](int fd, int) {
    for (std::string request; !(request = RawServer::ReadRequest(fd)).empty();) {
      if (request.find(" /chunked ") != request.npos) {
        RawServer::Send(fd, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\nhel");
        std::this_thread::sleep_for(10ms);
        RawServer::Send(fd, "lo\r\n6\r\n world\r\n0\r\nTrailer: t\r\n\r\n");
      } else if (request.find(" /close ") != request.npos) {
        RawServer::Send(fd, "HTTP/1.1 200 OK\r\n\r\nuntil the end");
        return;
      } else if (request.find(" /204 ") != request.npos) {
        RawServer::Send(fd, "HTTP/1.1 204\r\n\r\n");
      } else if (request.starts_with("HEAD ")) {
        RawServer::Send(fd, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n");
      } else {
        RawServer::Send(fd,
                        "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 "
                        "OK\r\nContent-Length: 0\r\n\r\n");
      }
    }
  });
  EXPECT_EQ(Ask({"POST", "/chunked"})->body, "hello world");
  EXPECT_EQ(Ask({"GET", "/204", {}, ""})->status, 204);
  EXPECT_EQ(Ask({"HEAD", "/", {}, ""})->body, "");
  EXPECT_EQ(Ask({"GET", "/empty", {}, ""})->body, "");
  EXPECT_EQ(server_->accepted(), 1);
  EXPECT_EQ(Ask({"GET", "/close", {}, ""})->body, "until the end");
  EXPECT_EQ(Ask({"POST", "/chunked"})->body, "hello world");
  EXPECT_EQ(server_->accepted(), 2);
}

TEST_F(HttpClientTest, GoesOnAfterTheUpstreamClosedAnIdleConnection) {
  Start([](int fd, int) {
    RawServer::ReadRequest(fd);
    RawServer::Send(fd, kOk);
  });
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(Ask());
    EXPECT_TRUE(Eventually([&] { return client_->connections() == 0; }))
        << "a closed connection stays in the pool";
  }
  EXPECT_EQ(server_->accepted(), 3);
}

TEST_F(HttpClientTest, BytesThatNobodyAskedForCloseTheConnection) {
  Start([](int fd, int) {
    while (!RawServer::ReadRequest(fd).empty()) {
      RawServer::Send(fd, kOk);
      std::this_thread::sleep_for(20ms);
      RawServer::Send(fd, "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison");
    }
  });
  EXPECT_EQ(Ask()->body, "ok");
  EXPECT_TRUE(Eventually([&] { return client_->connections() == 0; }));
  EXPECT_EQ(Ask()->body, "ok");
  EXPECT_EQ(server_->accepted(), 2);
}

TEST_F(HttpClientTest, ConnectionCloseIsHonoured) {
  Start([](int fd, int) {
    RawServer::ReadRequest(fd);
    RawServer::Send(fd, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok");
    RawServer::Closed(fd, 2000);
  });
  EXPECT_EQ(Ask()->body, "ok");
  EXPECT_TRUE(Eventually([&] { return client_->connections() == 0; }));
}

TEST_F(HttpClientTest, FailuresHaveTheirCodes) {
  HttpClient::Options options;
  options.limits.head_timeout = 1s;
  options.limits.read_timeout = 1s;
  Start(
      [](int fd, int) {
        const std::string request = RawServer::ReadRequest(fd);
        const auto is = [&](const char* path) { return request.find(path) != request.npos; };
        if (is("/silent")) RawServer::Closed(fd, 3000);
        if (is("/garbage")) RawServer::Send(fd, "SSH-2.0-OpenSSH_9.2\r\n\r\n");
        if (is("/smuggle"))
          RawServer::Send(fd,
                          "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: "
                          "chunked\r\n\r\n0\r\n\r\n");
        if (is("/upgrade")) RawServer::Send(fd, "HTTP/1.1 101 Switching Protocols\r\n\r\n");
        if (is("/endless"))
          RawServer::Send(fd, "HTTP/1.1 200 OK\r\nX: " + std::string(100'000, 'x'));
        if (is("/stall"))
          RawServer::Send(fd, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc"),
              RawServer::Closed(fd, 2000);
        if (is("/cut")) RawServer::Send(fd, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc");
        if (is("/chunkcut"))
          RawServer::Send(fd, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n");
        if (is("/badchunk"))
          RawServer::Send(fd, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n");
        if (is("/large"))
          RawServer::Send(
              fd, "HTTP/1.1 200 OK\r\nContent-Length: 3000\r\n\r\n" + std::string(3000, 'x'));
      },
      options);
  EXPECT_EQ(Failure({"GET", "/nothing"}).code, Errc::upstream_closed);
  EXPECT_EQ(Failure({"GET", "/silent"}).code, Errc::upstream_timeout);
  EXPECT_EQ(Failure({"GET", "/garbage"}).code, Errc::upstream_protocol);
  EXPECT_EQ(Failure({"GET", "/smuggle"}).code, Errc::upstream_protocol);
  EXPECT_EQ(Failure({"GET", "/upgrade"}).code, Errc::upstream_protocol);
  EXPECT_EQ(Failure({"GET", "/endless"}).code, Errc::upstream_protocol);
  EXPECT_EQ(Failure({"GET", "/stall"}).code, Errc::upstream_timeout);
  EXPECT_EQ(Failure({"GET", "/cut"}).code, Errc::upstream_closed);
  EXPECT_EQ(Failure({"GET", "/chunkcut"}).code, Errc::upstream_closed);
  EXPECT_EQ(Failure({"GET", "/badchunk"}).code, Errc::upstream_protocol);
  Call large{"GET", "/large"};
  large.limit = 2999;
  EXPECT_EQ(Failure(large).code, Errc::upstream_too_large);
  EXPECT_TRUE(Eventually([&] { return client_->connections() == 0; }));
}

TEST_F(HttpClientTest, UnreachableAndMalformedRequests) {
  Start([](int, int) {});
  std::promise<Result<Answer>> done;
  auto future = done.get_future();
  Spawn(shards_.executor(0), Do(*client_, Origin{false, "127.0.0.1", 1}, {}, done));
  const auto answer = future.get();
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, Errc::upstream_unreachable);
  EXPECT_THAT(answer.error().detail, HasSubstr("127.0.0.1:1: Connection refused"));
  EXPECT_EQ(Failure({"POST", "/a b"}).code, Errc::internal);
  EXPECT_EQ(Failure({"PO ST", "/"}).code, Errc::internal);
  EXPECT_EQ(Failure({"POST", "/", Headers{{"X", "a\r\nY: b"}}}).code, Errc::internal);
  EXPECT_EQ(Failure({"POST", "/", Headers{{"Content-length", "3"}}}).code, Errc::internal);
  EXPECT_EQ(server_->accepted(), 0);
}

asio::awaitable<void> ReadAndCancel(HttpClient& client, Origin origin,
                                    std::promise<Result<std::optional<std::string>>>& done) {
  auto response = co_await client.Send(origin, "GET", "/", {}, "");
  if (!response) {
    done.set_value(std::unexpected(response.error()));
    co_return;
  }
  auto first = co_await (*response)->Read();
  EXPECT_EQ(**first, "data: 1\n\n");
  Post(co_await ThisExecutor(), [r = response->get()] { r->Cancel(); });
  done.set_value(co_await (*response)->Read());
}

TEST_F(HttpClientTest, CancelEndsAReadAndClosesTheConnection) {
  Start([&](int fd, int) {
    RawServer::ReadRequest(fd);
    RawServer::Send(fd,
                    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\ndata: 1\n\n\r\n");
    closed_ = RawServer::Closed(fd, 2000);
  });
  std::promise<Result<std::optional<std::string>>> done;
  auto future = done.get_future();
  Spawn(shards_.executor(0), ReadAndCancel(*client_, origin(), done));
  const auto read = future.get();
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().code, Errc::cancelled);
  EXPECT_TRUE(Eventually([&] { return closed_.load(); }));
}

asio::awaitable<void> GiveUp(HttpClient& client, Origin origin, std::promise<size_t>& done) {
  using namespace asio::experimental::awaitable_operators;
  auto send = client.Send(origin, "GET", "/", {}, "");
  const auto won = co_await (std::move(send) || Sleep(30ms));
  done.set_value(won.index());
}

TEST_F(HttpClientTest, AsioCancellationEndsASendAndClosesItsConnection) {
  Start([&](int fd, int) {
    RawServer::ReadRequest(fd);
    closed_ = RawServer::Closed(fd, 2000);
  });
  std::promise<size_t> done;
  auto future = done.get_future();
  Spawn(shards_.executor(0), GiveUp(*client_, origin(), done));
  EXPECT_EQ(future.get(), 1u);
  EXPECT_TRUE(Eventually([&] { return closed_.load() && client_->connections() == 0; }));
}

asio::awaitable<void> DropHalfway(HttpClient& client, Origin origin, std::promise<void>& done) {
  {
    auto response = co_await client.Send(origin, "GET", "/", {}, "");
    (void)co_await (*response)->Read();
  }
  done.set_value();
}

TEST_F(HttpClientTest, DroppingAResponseClosesTheConnection) {
  Start([&](int fd, int) {
    RawServer::ReadRequest(fd);
    RawServer::Send(fd, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc");
    closed_ = RawServer::Closed(fd, 2000);
  });
  std::promise<void> done;
  auto future = done.get_future();
  Spawn(shards_.executor(0), DropHalfway(*client_, origin(), done));
  future.get();
  EXPECT_TRUE(Eventually([&] { return closed_.load() && client_->connections() == 0; }));
}

asio::awaitable<void> ReadSlowly(HttpClient& client, Origin origin, std::promise<size_t>& done) {
  auto response = co_await client.Send(origin, "GET", "/", {}, "");
  (void)co_await Sleep(300ms);
  size_t total = 0;
  for (;;) {
    auto piece = co_await (*response)->Read();
    if (!piece || !*piece) break;
    EXPECT_LE((*piece)->size(), 64u << 10);
    total += (*piece)->size();
  }
  done.set_value(total);
}

TEST_F(HttpClientTest, ALargeBodyIsReadPiecewiseWithBackPressure) {
  Start([&](int fd, int) {
    RawServer::ReadRequest(fd);
    RawServer::Send(fd, "HTTP/1.1 200 OK\r\nContent-Length: 67108864\r\n\r\n");
    const std::string piece(1 << 20, 'x');
    for (int i = 0; i < 64 && RawServer::Send(fd, piece); ++i) sent_ += piece.size();
  });
  std::promise<size_t> done;
  auto future = done.get_future();
  Spawn(shards_.executor(0), ReadSlowly(*client_, origin(), done));
  std::this_thread::sleep_for(200ms);
  EXPECT_LT(sent_, 32u << 20) << "read ahead without a reader";
  EXPECT_EQ(future.get(), 64u << 20);
}

TEST_F(HttpClientTest, ALargeRequestBody) {
  Start([](int fd, int) {
    for (std::string request; !(request = RawServer::ReadRequest(fd)).empty();)
      RawServer::Send(fd, "HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n" +
                              std::to_string(request.size() - request.find("\r\n\r\n") - 4));
  });
  Call call;
  call.body.assign(5'000'000, 'b');
  EXPECT_EQ(Ask(call)->body, "5000000");
}

TEST_F(HttpClientTest, ConnectionsPerOriginAreBounded) {
  HttpClient::Options options;
  options.limits.connections_per_origin = 3;
  Start(
      [&](int fd, int) {
        while (!RawServer::ReadRequest(fd).empty()) {
          const int n = ++now_;
          for (int m = most_; n > m && !most_.compare_exchange_weak(m, n);) {
          }
          std::this_thread::sleep_for(5ms);
          --now_;
          RawServer::Send(fd, kOk);
        }
      },
      options);
  std::vector<std::promise<Result<Answer>>> done(40);
  for (auto& promise : done) Spawn(shards_.executor(0), Do(*client_, origin(), {}, promise));
  for (auto& promise : done) EXPECT_TRUE(promise.get_future().get());
  EXPECT_EQ(most_, 3);
  EXPECT_EQ(server_->accepted(), 3);
}

TEST_F(HttpClientTest, WaitingForAFreeConnectionHasAnEnd) {
  HttpClient::Options options;
  options.limits.connections_per_origin = 1;
  options.limits.connect_timeout = 100ms;
  Start(
      [](int fd, int) {
        RawServer::ReadRequest(fd);
        RawServer::Closed(fd, 500);
        RawServer::Send(fd, kOk);
      },
      options);
  std::promise<Result<Answer>> first, second;
  auto f1 = first.get_future(), f2 = second.get_future();
  Spawn(shards_.executor(0), Do(*client_, origin(), {}, first));
  Spawn(shards_.executor(0), Do(*client_, origin(), {}, second));
  const auto waited = f2.get();
  ASSERT_FALSE(waited);
  EXPECT_EQ(waited.error().code, Errc::upstream_timeout);
  EXPECT_TRUE(f1.get());
}

TEST_F(HttpClientTest, IdleConnectionsAreClosedAfterATime) {
  HttpClient::Options options;
  options.limits.idle_timeout = 100ms;
  Start(
      [&](int fd, int) {
        RawServer::ReadRequest(fd);
        RawServer::Send(fd, kOk);
        closed_ = RawServer::Closed(fd, 2000);
      },
      options);
  EXPECT_TRUE(Ask());
  EXPECT_EQ(client_->connections(), 1u);
  EXPECT_TRUE(Eventually([&] { return closed_ && client_->connections() == 0; }));
}

TEST_F(HttpClientTest, TheClientMayDieBeforeTheShardsAndAfter) {
  Start([](int fd, int) {
    while (!RawServer::ReadRequest(fd).empty()) RawServer::Send(fd, kOk);
  });
  EXPECT_TRUE(Ask());
  client_.reset();
  auto late = HttpClient::Make(shards_.executor(0), {});
  std::promise<Result<Answer>> done;
  auto future = done.get_future();
  Spawn(shards_.executor(0), Do(*late, origin(), {}, done));
  EXPECT_TRUE(future.get());
  shards_.Stop();
  late.reset();
}

}  // namespace
}  // namespace sallyport::net
