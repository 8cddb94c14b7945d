#include <atomic>
#include <fstream>
#include <future>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/ssl.h>
#include <thread>

#include "net/event.h"
#include "net/http_client.h"
#include "net/http_server.h"
#include "net/raw_client_for_test.h"
#include "net/shards.h"
#include "net/tls_for_test.h"

namespace sallyport::net {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;
namespace asio = boost::asio;

asio::awaitable<void> Answer(HttpExchange& exchange) {
  Headers none;
  if (exchange.request().path() == "/stream") {
    (void)co_await exchange.Begin(200, std::move(none));
    for (int i = 0; i < 3; ++i) {
      (void)co_await exchange.Write("data: x\n\n");
      (void)co_await Sleep(10ms);
    }
    (void)co_await exchange.End();
    co_return;
  }
  if (exchange.request().path() == "/slow") (void)co_await Sleep(50ms);
  std::string body = (exchange.request().tls ? "tls " : "plain ") + exchange.request().body;
  (void)co_await exchange.Respond(200, std::move(none), std::move(body));
}

/// "200 body" or "<reason> detail".
asio::awaitable<void> Ask(HttpClient& client, Origin origin, std::string target, std::string body,
                          std::promise<std::string>& done) {
  auto response = co_await client.Send(origin, "POST", std::move(target), {}, std::move(body));
  if (!response) {
    done.set_value("<" + std::string(ReasonCode(response.error().code)) + "> " +
                   response.error().detail);
    co_return;
  }
  auto read = co_await (*response)->ReadAll(64 << 20);
  done.set_value(read ? std::to_string((*response)->status()) + " " + *read
                      : "<" + std::string(ReasonCode(read.error().code)) + ">");
}

class TlsTest : public testing::Test {
 public:
  void SetUp() override {
    authority_.MakeLeaf("good", "DNS:localhost,DNS:*.example.com,IP:127.0.0.1");
    authority_.MakeLeaf("other", "DNS:other.invalid");
    authority_.MakeLeaf("old", "DNS:localhost,IP:127.0.0.1", -1);
  }
  TlsServer::Options Files(const std::string& name, const std::string& version = "1.2") {
    return {authority_.path(name + ".pem"), authority_.path(name + ".key"), version};
  }
  void Serve(const TlsServer::Options& files, HttpLimits limits = {}) {
    auto tls = TlsServer::Make(files);
    ASSERT_TRUE(tls) << tls.error().detail;
    tls_ = *tls;
    HttpServer::Options options;
    options.address = "127.0.0.1:0";
    options.limits = limits;
    options.tls = tls_;
    options.handler = Answer;
    auto server = HttpServer::Listen(shards_, std::move(options));
    ASSERT_TRUE(server);
    server_ = std::move(*server);
    client_ = HttpClient::Make(shards_.executor(0), {{}, authority_.path("ca.pem")});
    shards_.Start();
  }
  std::string Get(const std::string& host = "127.0.0.1", std::string body = "x",
                  HttpClient* client = nullptr, std::string target = "/") {
    std::promise<std::string> done;
    auto future = done.get_future();
    net::Spawn(shards_.executor(0),
               Ask(client != nullptr ? *client : *client_, Origin{true, host, server_->port()},
                   std::move(target), std::move(body), done));
    return future.get();
  }
  void TearDown() override {
    shards_.Stop();
    client_.reset();
    server_.reset();
  }

  TestAuthority authority_;
  Shards shards_{1};
  std::shared_ptr<TlsServer> tls_;
  std::unique_ptr<HttpServer> server_;
  std::unique_ptr<HttpClient> client_;
};

TEST_F(TlsTest, ServesAndKeepsConnections) {
  Serve(Files("good"));
  for (int i = 0; i < 3; ++i) EXPECT_EQ(Get(), "200 tls x");
  EXPECT_EQ(client_->connections(), 1u);
  EXPECT_EQ(server_->connections(), 1u);
  EXPECT_EQ(Get("localhost"), "200 tls x");
  EXPECT_EQ(Get("127.0.0.1", "x", nullptr, "/stream"), "200 data: x\n\ndata: x\n\ndata: x\n\n");
}

TEST_F(TlsTest, LargeBodies) {
  Serve(Files("good"));
  const std::string body(3'500'000, 'z');
  EXPECT_EQ(Get("127.0.0.1", body), "200 tls " + body);
}

TEST_F(TlsTest, WrongNameExpiredAndUnknownAuthorityAreRefused) {
  Serve(Files("other"));
  EXPECT_THAT(Get(), HasSubstr("<upstream-unreachable> 127.0.0.1:"));
  EXPECT_THAT(Get(), HasSubstr("IP address mismatch"));
  EXPECT_THAT(Get("localhost"), HasSubstr("hostname mismatch"));
  const auto system = HttpClient::Make(shards_.executor(0), {});
  EXPECT_THAT(Get("127.0.0.1", "x", system.get()),
              HasSubstr("certificate verify failed: unable to get local issuer certificate"));
  const auto broken = HttpClient::Make(shards_.executor(0), {{}, "/no/such/file"});
  EXPECT_THAT(Get("127.0.0.1", "x", broken.get()),
              HasSubstr("<config-invalid> authorities /no/such/file"));
}

TEST_F(TlsTest, ExpiredIsRefused) {
  Serve(Files("old"));
  EXPECT_THAT(Get(), HasSubstr("certificate has expired"));
}

TEST_F(TlsTest, ReloadTakesTheNewCertificateAndKeepsTheOldOverABadOne) {
  Serve(Files("good"));
  EXPECT_EQ(Get(), "200 tls x");
  std::filesystem::copy_file(authority_.path("other.pem"), authority_.path("good.pem"),
                             std::filesystem::copy_options::overwrite_existing);
  const auto mismatch = tls_->Reload();
  ASSERT_FALSE(mismatch);
  EXPECT_EQ(mismatch.error().code, Errc::config_invalid);
  EXPECT_EQ(Get("localhost"), "200 tls x") << "the old certificate is gone";
  std::filesystem::copy_file(authority_.path("other.key"), authority_.path("good.key"),
                             std::filesystem::copy_options::overwrite_existing);
  ASSERT_TRUE(tls_->Reload());
  EXPECT_EQ(Get(), "200 tls x") << "a connection that was open is not cut";
  const auto fresh = HttpClient::Make(shards_.executor(0), {{}, authority_.path("ca.pem")});
  EXPECT_THAT(Get("127.0.0.1", "x", fresh.get()), HasSubstr("IP address mismatch"));
}

TEST_F(TlsTest, BadFilesAreAnError) {
  EXPECT_EQ(TlsServer::Make({"/no/such", authority_.path("good.key"), "1.2"}).error().code,
            Errc::config_invalid);
  EXPECT_THAT(TlsServer::Make({authority_.path("good.pem"), authority_.path("other.key"), "1.2"})
                  .error()
                  .detail,
              HasSubstr("other.key"));
  EXPECT_THAT(TlsServer::Make(Files("good", "1.1")).error().detail, HasSubstr("1.1"));
}

/// A handshake with the bounds given: the version and suite agreed on, or "refused".
std::string Shake(uint16_t port, int low, int high, const char* suites,
                  const char* protocol = nullptr) {
  RawClient raw(port);
  std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)> context(SSL_CTX_new(TLS_client_method()),
                                                            SSL_CTX_free);
  SSL_CTX_set_security_level(context.get(), 0);
  SSL_CTX_set_min_proto_version(context.get(), low);
  SSL_CTX_set_max_proto_version(context.get(), high);
  if (suites != nullptr) SSL_CTX_set_cipher_list(context.get(), suites);
  if (protocol != nullptr)
    SSL_CTX_set_alpn_protos(context.get(), reinterpret_cast<const unsigned char*>(protocol),
                            unsigned(std::strlen(protocol)));
  std::unique_ptr<SSL, decltype(&SSL_free)> ssl(SSL_new(context.get()), SSL_free);
  SSL_set_fd(ssl.get(), raw.fd());
  if (SSL_connect(ssl.get()) != 1) return "refused";
  return std::string(SSL_get_version(ssl.get())) + " " + SSL_get_cipher(ssl.get());
}

TEST_F(TlsTest, OldVersionsAndWeakSuitesAreRefused) {
  Serve(Files("good"));
  const uint16_t port = server_->port();
  EXPECT_EQ(Shake(port, TLS1_VERSION, TLS1_1_VERSION, nullptr), "refused");
  EXPECT_EQ(Shake(port, TLS1_2_VERSION, TLS1_2_VERSION, "ECDHE-ECDSA-AES128-SHA256:AES128-SHA"),
            "refused");
  EXPECT_EQ(Shake(port, TLS1_2_VERSION, TLS1_2_VERSION, nullptr),
            "TLSv1.2 ECDHE-ECDSA-AES128-GCM-SHA256");
  EXPECT_THAT(Shake(port, TLS1_2_VERSION, TLS1_3_VERSION, nullptr), HasSubstr("TLSv1.3 TLS_"));
  EXPECT_THAT(Shake(port, TLS1_2_VERSION, TLS1_3_VERSION, nullptr, "\x02h2\x08http/1.1"),
              HasSubstr("TLSv1.3"));
  EXPECT_EQ(Shake(port, TLS1_2_VERSION, TLS1_3_VERSION, nullptr, "\x02h2"), "refused");
}

TEST_F(TlsTest, ManyPipelinedRequests) {
  Serve(Files("good"));
  RawClient raw(server_->port());
  std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)> context(SSL_CTX_new(TLS_client_method()),
                                                            SSL_CTX_free);
  std::unique_ptr<SSL, decltype(&SSL_free)> ssl(SSL_new(context.get()), SSL_free);
  SSL_set_fd(ssl.get(), raw.fd());
  ASSERT_EQ(SSL_connect(ssl.get()), 1);
  // More than the server's buffer holds, in records that do not end where requests do.
  constexpr int kCount = 300;
  std::string many, all;
  for (int i = 0; i < kCount; ++i)
    many += std::string("POST ") + (i % 100 == 0 ? "/slow" : "/") +
            " HTTP/1.1\r\nHost: x\r\nX: " + std::string(1000, 'x') +
            "\r\nContent-Length: 3\r\n\r\nabc";
  ASSERT_EQ(SSL_write(ssl.get(), many.data(), int(many.size())), int(many.size()));
  char buffer[16 << 10];
  const std::string answer = "tls abc";
  const auto count = [&] {
    int n = 0;
    for (size_t at = 0; (at = all.find(answer, at)) != all.npos; at += answer.size()) ++n;
    return n;
  };
  const timeval limit{2, 0};
  ::setsockopt(raw.fd(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  for (int n; count() < kCount && (n = SSL_read(ssl.get(), buffer, sizeof buffer)) > 0;)
    all.append(buffer, size_t(n));
  EXPECT_EQ(count(), kCount);
}

TEST_F(TlsTest, AtLeast13) {
  Serve(Files("good", "1.3"));
  EXPECT_EQ(Shake(server_->port(), TLS1_2_VERSION, TLS1_2_VERSION, nullptr), "refused");
  EXPECT_EQ(Get(), "200 tls x");
}

TEST_F(TlsTest, PlainTextAndSilenceAreCutOff) {
  HttpLimits limits;
  limits.header_timeout_ms = 150;
  Serve(Files("good"), limits);
  RawClient plain(server_->port()), silent(server_->port());
  plain.Send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_EQ(plain.ReadAll(1s).find("HTTP/1.1"), std::string::npos);
  EXPECT_TRUE(plain.closed());
  EXPECT_EQ(silent.ReadAll(1s), "");
  EXPECT_TRUE(silent.closed());
  EXPECT_EQ(Get(), "200 tls x");
}

}  // namespace
}  // namespace sallyport::net
