#include "net/http_server.h"

#include <atomic>
#include <functional>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <string>
#include <thread>
#include <vector>

#include "net/event.h"
#include "net/http_server_for_test.h"

namespace sallyport::net {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;
namespace asio = boost::asio;

TEST_F(HttpServerTest, RespondsAndKeepsAlive) {
  Serve(Echo);
  RawClient client(server_->port());
  for (int i = 0; i < 3; ++i) {
    client.Send("POST /mcp HTTP/1.1\r\nHost: localhost:80\r\nContent-Length: 5\r\n\r\nhello");
    const std::string response = client.ReadResponse();
    EXPECT_THAT(response, StartsWith("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"));
    EXPECT_THAT(response, HasSubstr("\r\nDate: "));
    EXPECT_THAT(response, HasSubstr("\r\nContent-Length: 15\r\n"));
    EXPECT_TRUE(response.ends_with("\r\n\r\nPOST /mcp|hello")) << response;
  }
  EXPECT_EQ(server_->connections(), 1u);
}

TEST_F(HttpServerTest, ByteByByteAndPipelined) {
  Serve(Echo);
  RawClient client(server_->port());
  for (const char c :
       std::string_view("POST /1 HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc")) {
    client.Send({&c, 1});
    std::this_thread::sleep_for(200us);
  }
  EXPECT_TRUE(client.ReadResponse().ends_with("POST /1|abc"));
  std::string many;
  for (int i = 0; i < 200; ++i)
    many += "POST /" + std::to_string(i) + " HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx";
  client.Send(many);
  for (int i = 0; i < 200; ++i)
    EXPECT_TRUE(client.ReadResponse().ends_with("POST /" + std::to_string(i) + "|x"));
}

TEST_F(HttpServerTest, LargeBodiesBothWays) {
  Serve(Echo);
  RawClient client(server_->port());
  const std::string body(3'000'000, 'z');
  client.Send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3000000\r\n\r\n");
  std::jthread sender([&] { client.Send(body); });
  EXPECT_TRUE(client.ReadResponse().ends_with("POST /|" + body));
}

TEST_F(HttpServerTest, ChunkedRequest) {
  Serve(Echo);
  RawClient client(server_->port());
  client.Send(
      "POST /c HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: "
      "Chunked\r\n\r\n3\r\nabc\r\n0000A\r\n0123456789\r\n0\r\n\r\n");
  EXPECT_TRUE(client.ReadResponse().ends_with("POST /c|abc0123456789"));
  client.Send(kGet);
  EXPECT_TRUE(client.ReadResponse().ends_with("GET /a?b=c|"));
}

TEST_F(HttpServerTest, HeadersAsSent) {
  Serve([](HttpServerTest&, HttpExchange& exchange) -> asio::awaitable<void> {
    const Headers& h = exchange.request().headers;
    std::string body = std::to_string(h.Count("x-a")) + std::string(h.Find("X-A").value_or("?")) +
                       std::string(h.Find("x-empty").value_or("?")) +
                       std::string(exchange.request().path()) +
                       std::string(exchange.request().query()) + exchange.request().address;
    Headers none;
    (void)co_await exchange.Respond(200, std::move(none), std::move(body));
  });
  RawClient client(server_->port());
  client.Send("GET /p?q=1?2 HTTP/1.1\r\nHost: x\r\nX-a:  one \t\r\nx-A:two\r\nX-Empty:\r\n\r\n");
  EXPECT_TRUE(client.ReadResponse().ends_with("\r\n\r\n2one/pq=1?2127.0.0.1"));
}

TEST_F(HttpServerTest, HeadNoContentAndClose) {
  Serve([](HttpServerTest&, HttpExchange& exchange) -> asio::awaitable<void> {
    Headers none;
    std::string body = "body";
    (void)co_await exchange.Respond(exchange.request().path() == "/204" ? 204 : 200,
                                    std::move(none), std::move(body));
  });
  RawClient client(server_->port());
  client.Send(
      "HEAD / HTTP/1.1\r\nHost: x\r\n\r\nGET /204 HTTP/1.1\r\nHost: x\r\n\r\nGET / "
      "HTTP/1.1\r\nHost: x\r\nConnection: foo, Close\r\n\r\n");
  const std::string all = client.ReadAll();
  EXPECT_TRUE(client.closed());
  EXPECT_THAT(all, HasSubstr("Content-Length: 4\r\n\r\nHTTP/1.1 204 No Content\r\nDate"));
  EXPECT_TRUE(all.ends_with("Connection: close\r\n\r\nbody")) << all;
}

TEST_F(HttpServerTest, OldHttpIsServedAndClosed) {
  Serve(Echo);
  RawClient client(server_->port());
  client.Send("GET /old HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
  EXPECT_TRUE(client.ReadAll().ends_with("Connection: close\r\n\r\nGET /old|"));
  EXPECT_TRUE(client.closed());
}

TEST_F(HttpServerTest, ExpectContinue) {
  Serve(Echo);
  RawClient client(server_->port());
  client.Send("POST /e HTTP/1.1\r\nHost: x\r\nExpect: 100-Continue\r\nContent-Length: 2\r\n\r\n");
  EXPECT_EQ(client.ReadUntil("\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
  client.Send("ok");
  EXPECT_TRUE(client.ReadResponse().ends_with("POST /e|ok"));
}

asio::awaitable<void> Streamed(HttpServerTest&, HttpExchange& exchange) {
  Headers headers{{"Content-Type", "text/event-stream"}};
  EXPECT_TRUE(co_await exchange.Begin(200, std::move(headers)));
  for (int i = 0; i < 3; ++i) {
    EXPECT_TRUE(co_await exchange.Write("data: x\n\n"));
    (void)co_await Sleep(20ms);
  }
  EXPECT_TRUE(co_await exchange.End());
}

TEST_F(HttpServerTest, StreamPassesPiecesAtOnce) {
  Serve(Streamed);
  RawClient client(server_->port());
  client.Send(kGet);
  EXPECT_THAT(client.ReadUntil("\r\n\r\n"), HasSubstr("Transfer-Encoding: chunked\r\n"));
  for (int i = 0; i < 3; ++i) EXPECT_EQ(client.ReadUntil("\n\n\r\n"), "9\r\ndata: x\n\n\r\n");
  EXPECT_EQ(client.ReadUntil("\r\n\r\n"), "0\r\n\r\n");
  client.Send("GET / HTTP/1.0\r\n\r\n");
  const std::string all = client.ReadAll();
  EXPECT_TRUE(all.ends_with("Connection: close\r\n\r\ndata: x\n\ndata: x\n\ndata: x\n\n")) << all;
}

TEST_F(HttpServerTest, AStreamThatIsNotEndedDoesNotLookWhole) {
  Serve([](HttpServerTest&, HttpExchange& exchange) -> asio::awaitable<void> {
    Headers none;
    (void)co_await exchange.Begin(200, std::move(none));
    (void)co_await exchange.Write("half");
  });
  RawClient client(server_->port());
  client.Send(kGet);
  const std::string all = client.ReadAll();
  EXPECT_TRUE(client.closed());
  EXPECT_TRUE(all.ends_with("4\r\nhalf\r\n")) << all;
}

TEST_F(HttpServerTest, HandlerThatSaysNothingOrThrowsIs500) {
  Serve([](HttpServerTest&, HttpExchange& exchange) -> asio::awaitable<void> {
    if (exchange.request().path() == "/throw") throw std::runtime_error("expected by the test");
    if (exchange.request().path() == "/split") {
      for (Headers bad :
           {Headers{{"X", "a\r\nSet-Cookie: b"}}, Headers{{"X Set-Cookie", "b"}},
            Headers{{"Content-length", "5"}}, Headers{{"Transfer-Encoding", "chunked"}}}) {
        std::string body;
        EXPECT_FALSE(co_await exchange.Respond(200, std::move(bad), std::move(body)));
      }
    }
    co_return;
  });
  for (const std::string path : {"/nothing", "/throw", "/split"}) {
    RawClient client(server_->port());
    client.Send("GET " + path + " HTTP/1.1\r\nHost: x\r\n\r\n");
    const std::string response = client.ReadResponse();
    EXPECT_THAT(response, StartsWith("HTTP/1.1 500 "));
    EXPECT_THAT(response, Not(HasSubstr("Set-Cookie")));
  }
}

// Limits.

TEST_F(HttpServerTest, HeadTooLarge) {
  HttpLimits limits;
  limits.header_bytes = 20'000;
  Serve(Echo, limits);
  RawClient fits(server_->port());
  fits.Send(Post("X: " + std::string(19'900, 'a') + "\r\n"));
  EXPECT_THAT(fits.ReadResponse(), StartsWith("HTTP/1.1 200 "));
  RawClient client(server_->port());
  client.Send(Post("X: " + std::string(25'000, 'a') + "\r\n"));
  EXPECT_THAT(client.ReadAll(), StartsWith("HTTP/1.1 431 "));
  RawClient endless(server_->port());
  endless.Send("GET / HTTP/1.1\r\nX: " + std::string(25'000, 'a'));
  EXPECT_THAT(endless.ReadAll(), StartsWith("HTTP/1.1 431 "));
  RawClient many(server_->port());
  std::string fields;
  for (int i = 0; i < 200; ++i) fields += "X: y\r\n";
  many.Send(Post(fields));
  EXPECT_THAT(many.ReadAll(), StartsWith("HTTP/1.1 431 "));
}

TEST_F(HttpServerTest, BodyTooLargeIsRefusedBeforeItIsRead) {
  HttpLimits limits;
  limits.body_bytes = 1000;
  Serve(Echo, limits);
  RawClient client(server_->port());
  client.Send(Post("Content-Length: 1001\r\nExpect: 100-continue\r\n"));
  const std::string response = client.ReadAll();
  EXPECT_THAT(response, StartsWith("HTTP/1.1 413 "));
  RawClient chunked(server_->port());
  chunked.Send(Chunked("3e8\r\n" + std::string(1000, 'a') + "\r\n1\r\na\r\n0\r\n\r\n"));
  EXPECT_THAT(chunked.ReadAll(), StartsWith("HTTP/1.1 413 "));
  RawClient fits(server_->port());
  fits.Send(Chunked("3e8\r\n" + std::string(1000, 'a') + "\r\n0\r\n\r\n"));
  EXPECT_THAT(fits.ReadResponse(), StartsWith("HTTP/1.1 200 "));
}

TEST_F(HttpServerTest, TheAnswerToABodyTooLargeArrives) {
  HttpLimits limits;
  limits.body_bytes = 1000;
  Serve(Echo, limits);
  for (int i = 0; i < 20; ++i) {
    RawClient client(server_->port());
    client.Send(Post("Content-Length: 500000\r\n", std::string(500'000, 'a')));
    EXPECT_THAT(client.ReadAll(), StartsWith("HTTP/1.1 413 "));
  }
}

TEST_F(HttpServerTest, SlowHeadAndSlowBody) {
  HttpLimits limits;
  limits.header_timeout_ms = 150;
  limits.body_timeout_ms = 150;
  limits.idle_timeout_ms = 400;
  Serve(Echo, limits);
  RawClient head(server_->port()), body(server_->port()), silent(server_->port()),
      idle(server_->port());
  head.Send("GET / HT");
  body.Send(Post("Content-Length: 1000\r\n", "abc"));
  idle.Send(kGet);
  EXPECT_THAT(idle.ReadResponse(), StartsWith("HTTP/1.1 200 "));
  // A byte now and then does not help.
  for (int i = 0; i < 10; ++i) {
    std::this_thread::sleep_for(20ms);
    head.Send("T");
    body.Send("d");
  }
  EXPECT_THAT(head.ReadAll(1s), StartsWith("HTTP/1.1 408 "));
  EXPECT_THAT(body.ReadAll(1s), StartsWith("HTTP/1.1 408 "));
  EXPECT_EQ(silent.ReadAll(1s), "");
  EXPECT_TRUE(silent.closed());
  EXPECT_FALSE(idle.closed());
  EXPECT_EQ(idle.ReadAll(1s), "");
  EXPECT_TRUE(idle.closed());
  EXPECT_EQ(refused().size(), 2u);
}

TEST_F(HttpServerTest, TooManyConnections) {
  HttpLimits limits;
  limits.connections = 2;
  Serve(Echo, limits);
  RawClient a(server_->port()), b(server_->port());
  a.Send(kGet), a.ReadResponse();
  b.Send(kGet), b.ReadResponse();
  RawClient c(server_->port());
  EXPECT_THAT(c.ReadAll(), StartsWith("HTTP/1.1 503 "));
  a.Close();
  EXPECT_TRUE(Eventually([&] { return server_->connections() == 1; }));
  RawClient d(server_->port());
  d.Send(kGet);
  EXPECT_THAT(d.ReadResponse(), StartsWith("HTTP/1.1 200 "));
}

TEST_F(HttpServerTest, TooManyConnectionsOfOneAddress) {
  HttpLimits limits;
  limits.connections_per_address = 1;
  Serve(Echo, limits, 2);
  RawClient a(server_->port());
  a.Send(kGet), a.ReadResponse();
  RawClient b(server_->port());
  EXPECT_THAT(b.ReadAll(), StartsWith("HTTP/1.1 503 "));
  a.Close();
  EXPECT_TRUE(Eventually([&] { return server_->connections() == 0; }));
  RawClient c(server_->port());
  c.Send(kGet);
  EXPECT_THAT(c.ReadResponse(), StartsWith("HTTP/1.1 200 "));
}

/// Waits until the client is gone, for at most five seconds.
asio::awaitable<void> UntilGone(std::atomic<int>& gone, HttpExchange& exchange) {
  auto event = std::make_shared<Event>(exchange.executor());
  exchange.OnGone([event] { event->Set(); });
  const auto waited = co_await event->Wait(5s);
  if (waited && exchange.client_gone()) gone++;
  Headers none;
  std::string body = "late";
  (void)co_await exchange.Respond(200, std::move(none), std::move(body));
}

TEST_F(HttpServerTest, AClientThatLeavesIsNoticedWhileTheHandlerRuns) {
  Serve([](HttpServerTest& test, HttpExchange& exchange) -> asio::awaitable<void> {
    return UntilGone(test.gone_, exchange);
  });
  RawClient a(server_->port()), b(server_->port()), c(server_->port());
  a.Send(kGet), b.Send(kGet), c.Send(std::string(kGet) + std::string(kGet));
  EXPECT_TRUE(Eventually([&] { return server_->active() == 3; }));
  const auto start = std::chrono::steady_clock::now();
  a.Close(), b.Reset(), c.Close();
  EXPECT_TRUE(Eventually([&] { return gone_ >= 3; }));
  EXPECT_LT(std::chrono::steady_clock::now() - start, 500ms);  // at once, on an idle machine
  EXPECT_TRUE(Eventually([&] { return server_->connections() == 0; }));
}

asio::awaitable<void> Flood(std::atomic<int>& failed, HttpExchange& exchange) {
  if (exchange.request().path() != "/flood") {
    Headers none;
    std::string body = "fine";
    (void)co_await exchange.Respond(200, std::move(none), std::move(body));
    co_return;
  }
  Headers none;
  (void)co_await exchange.Begin(200, std::move(none));
  const std::string piece(1 << 20, 'x');
  for (int i = 0; i < 64; ++i) {
    const auto written = co_await exchange.Write(piece);
    if (!written) {
      EXPECT_EQ(written.error().code, Errc::io_failed);
      failed++;
      co_return;
    }
  }
}

TEST_F(HttpServerTest, AClientThatDoesNotReadHurtsOnlyItself) {
  HttpLimits limits;
  limits.write_timeout_ms = 1000;
  Serve(
      [](HttpServerTest& test, HttpExchange& exchange) -> asio::awaitable<void> {
        return Flood(test.failed_, exchange);
      },
      limits);
  RawClient stuck(server_->port(), 4096);
  stuck.Send("GET /flood HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_TRUE(Eventually([&] { return server_->active() == 1; }));
  RawClient other(server_->port());
  for (int i = 0; i < 20; ++i) {
    other.Send(kGet);
    EXPECT_TRUE(other.ReadResponse().ends_with("fine"));
  }
  EXPECT_TRUE(Eventually([&] { return failed_ == 1; }));
  EXPECT_TRUE(Eventually([&] { return server_->active() == 0; }));
}

asio::awaitable<void> Slow(std::atomic<int>& handled, HttpExchange& exchange) {
  handled++;
  (void)co_await Sleep(700ms);
  Headers none;
  std::string body = "slow";
  (void)co_await exchange.Respond(200, std::move(none), std::move(body));
}

TEST_F(HttpServerTest, DrainLetsRunningExchangesFinish) {
  Serve([](HttpServerTest& test, HttpExchange& exchange) -> asio::awaitable<void> {
    return Slow(test.handled_, exchange);
  });
  RawClient idle(server_->port()), busy(server_->port());
  idle.Send(kGet), idle.ReadResponse();
  busy.Send(std::string(kGet) + std::string(kGet));
  EXPECT_TRUE(Eventually([&] { return handled_ == 2; }));
  server_->Drain();
  EXPECT_EQ(idle.ReadAll(600ms), "");
  EXPECT_TRUE(idle.closed());
  const std::string all = busy.ReadAll();
  EXPECT_THAT(all, HasSubstr("Connection: close\r\n\r\nslow"));
  EXPECT_EQ(all.find("HTTP/1.1", 1), all.npos);
  EXPECT_TRUE(Eventually([&] { return server_->connections() == 0 && server_->active() == 0; }));
  EXPECT_EQ(RawClient(server_->port()).connected(), false);
}

TEST_F(HttpServerTest, NewLimitsHoldForNewConnections) {
  Serve(Echo);
  RawClient before(server_->port());
  before.Send(kGet), before.ReadResponse();
  HttpLimits limits;
  limits.body_bytes = 10;
  server_->SetLimits(limits);
  std::this_thread::sleep_for(20ms);
  const std::string post = Post("Content-Length: 20\r\n", "01234567890123456789");
  RawClient after(server_->port());
  after.Send(post);
  EXPECT_THAT(after.ReadAll(), StartsWith("HTTP/1.1 413 "));
  before.Send(post);
  EXPECT_THAT(before.ReadResponse(), StartsWith("HTTP/1.1 200 "));
}

TEST_F(HttpServerTest, AConnectionThatDozedGoesOn) {
  Serve(Echo);
  RawClient client(server_->port());
  client.Send(kGet), client.ReadResponse();
  std::this_thread::sleep_for(1200ms);
  client.Send(kGet);
  EXPECT_TRUE(client.ReadResponse().ends_with("GET /a?b=c|"));
  std::this_thread::sleep_for(1200ms);
  client.Close();
  EXPECT_TRUE(Eventually([&] { return server_->connections() == 0; }));
}

TEST_F(HttpServerTest, ShardsShareOnePort) {
  Serve(Echo, {}, 2);
  std::vector<std::unique_ptr<RawClient>> clients;
  for (int i = 0; i < 40; ++i) {
    clients.push_back(std::make_unique<RawClient>(server_->port()));
    clients.back()->Send(kGet);
  }
  for (auto& client : clients) EXPECT_TRUE(client->ReadResponse().ends_with("GET /a?b=c|"));
  EXPECT_EQ(server_->connections(), 40u);
}

TEST(HttpListenTest, SaysWhyItCannot) {
  Shards shards(1);
  HttpServer::Options options;
  for (const char* address :
       {"nonsense", "127.0.0.1:99999", "1.2.3.4.5:80", "127.0.0.1:x", ":80"}) {
    options.address = address;
    const auto server = HttpServer::Listen(shards, options);
    ASSERT_FALSE(server) << address;
    EXPECT_EQ(server.error().code, Errc::config_invalid);
    EXPECT_THAT(server.error().detail, HasSubstr(address));
  }
  options.address = "127.0.0.1:0";
  const auto first = HttpServer::Listen(shards, options);
  ASSERT_TRUE(first);
  options.address = "127.0.0.1:" + std::to_string((*first)->port());
  const auto second = HttpServer::Listen(shards, options);
  ASSERT_FALSE(second) << "two servers share a port in silence";
  EXPECT_THAT(second.error().detail, HasSubstr("bind: Address already in use"));
  options.address = "203.0.113.1:1";
  const auto server = HttpServer::Listen(shards, options);
  ASSERT_FALSE(server);
  EXPECT_EQ(server.error().code, Errc::io_failed);
  EXPECT_THAT(server.error().detail, HasSubstr("203.0.113.1:1: bind: "));
}

}  // namespace
}  // namespace sallyport::net
