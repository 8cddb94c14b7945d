#include "net/tcp.h"

#include <future>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/ssl.h>
#include <sys/un.h>
#include <thread>

#include "net/event.h"
#include "net/http_server.h"
#include "net/raw_client_for_test.h"
#include "net/shards.h"
#include "net/tls.h"
#include "net/tls_for_test.h"

namespace sallyport::net {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;
namespace asio = boost::asio;
using Protocol = TlsEngine::Protocol;
using Verify = TlsEngine::Verify;

TimePoint Soon() { return std::chrono::steady_clock::now() + 3s; }

/// Waits for `n` bytes and takes them.
asio::awaitable<std::string> Take(std::shared_ptr<Stream> stream, size_t n) {
  while (stream->data().size() < n) {
    if (co_await stream->More(Soon()) != Stream::Got::data) break;
  }
  std::string taken(stream->data().substr(0, n));
  stream->Consume(taken.size());
  co_return taken;
}

asio::awaitable<bool> Say(std::shared_ptr<Stream> stream, std::string text) {
  co_return bool(co_await stream->Finish(Pieces(text), 3s));
}

class TcpTest : public testing::Test {
 public:
  using Handler =
      std::function<asio::awaitable<void>(std::shared_ptr<Stream> stream, std::string peer)>;

  void Serve(Handler handler, uint32_t limit = 100) {
    TcpListener::Options options;
    options.address = "127.0.0.1:0";
    options.connections = limit;
    options.on_accept = std::move(handler);
    auto listener = TcpListener::Listen(shards_, std::move(options));
    ASSERT_TRUE(listener) << listener.error().detail;
    listener_ = std::move(*listener);
    shards_.Start();
  }
  void MakeTls(const std::string& name) {
    auto tls = TlsServer::Make({authority_.path(name + ".pem"), authority_.path(name + ".key")});
    ASSERT_TRUE(tls) << tls.error().detail;
    tls_ = *tls;
  }
  TlsContext Client(ClientTls options) {
    auto made = MakeClientContext(options);
    EXPECT_TRUE(made) << made.error().detail;
    return *made;
  }
  std::unique_ptr<TlsEngine> ServerEngine() {
    return TlsEngine::Server(CurrentContext(*tls_).get(), Protocol::postgresql);
  }
  /// Runs a coroutine on a shard to its end.
  template <class T>
  T Run(asio::awaitable<T> task) {
    std::promise<T> done;
    auto future = done.get_future();
    Spawn(shards_.executor(0), Keep(std::move(task), done));
    return future.get();
  }
  template <class T>
  static asio::awaitable<void> Keep(asio::awaitable<T> task, std::promise<T>& done) {
    done.set_value(co_await std::move(task));
  }
  bool Eventually(const std::function<bool()>& f) {
    for (const auto until = Soon(); std::chrono::steady_clock::now() < until;) {
      if (f()) return true;
      std::this_thread::sleep_for(2ms);
    }
    return false;
  }
  void SetUp() override { authority_.MakeLeaf("good", "DNS:localhost,IP:127.0.0.1"); }
  void TearDown() override {
    shards_.Stop();
    listener_.reset();
  }

  TestAuthority authority_;
  Shards shards_{2};
  std::shared_ptr<TlsServer> tls_;
  std::unique_ptr<TcpListener> listener_;
};

asio::awaitable<void> EchoFour(std::shared_ptr<Stream> stream, std::string peer) {
  std::string got = co_await Take(stream, 4);
  (void)co_await Say(stream, got + " from " + peer + " " + stream->peer_address());
}

asio::awaitable<std::string> AskFour(std::string host, uint16_t port,
                                     std::chrono::milliseconds limit) {
  auto stream = co_await Connect(host, port, limit);
  if (!stream)
    co_return "<" + std::string(ReasonCode(stream.error().code)) + "> " + stream.error().detail;
  (void)co_await Say(*stream, "ping");
  std::string answer = co_await Take(*stream, 1000);
  (*stream)->Close();
  co_return answer;
}

TEST_F(TcpTest, AcceptsAndConnects) {
  Serve(EchoFour);
  EXPECT_EQ(Run(AskFour("127.0.0.1", listener_->port(), 1s)), "ping from 127.0.0.1 127.0.0.1");
  EXPECT_EQ(Run(AskFour("localhost", listener_->port(), 1s)), "ping from 127.0.0.1 127.0.0.1");
  EXPECT_TRUE(Eventually([&] { return listener_->connections() == 0; }));
}

TEST_F(TcpTest, NobodyThereAndNoSuchName) {
  Serve(EchoFour);
  const std::string nobody = Run(AskFour("127.0.0.1", 1, 1s));
  EXPECT_THAT(nobody, HasSubstr("<upstream-unreachable> 127.0.0.1:1: Connection refused"));
  EXPECT_THAT(Run(AskFour("no-such-host.invalid", 1, 2s)), HasSubstr("<upstream-"));
}

TEST_F(TcpTest, BeyondTheLimitAConnectionIsClosed) {
  Serve(EchoFour, 2);
  RawClient a(listener_->port()), b(listener_->port());
  ASSERT_TRUE(Eventually([&] { return listener_->connections() == 2; }));
  RawClient c(listener_->port());
  EXPECT_EQ(c.ReadAll(1s), "");
  EXPECT_TRUE(c.closed());
  a.Send("abcd");
  EXPECT_THAT(a.ReadAll(1s), HasSubstr("abcd from"));
  EXPECT_TRUE(a.closed()) << "the end of the handler is the end of the connection";
  ASSERT_TRUE(Eventually([&] { return listener_->connections() == 1; }));
  RawClient d(listener_->port());
  d.Send("efgh");
  EXPECT_THAT(d.ReadAll(1s), HasSubstr("efgh from"));
}

TEST_F(TcpTest, AResetThatComesWithTheLastBytesIsNoticed) {
  std::promise<std::string> seen;
  Serve([&](std::shared_ptr<Stream> stream, auto) -> asio::awaitable<void> {
    (void)co_await Take(stream, 4);
    std::this_thread::sleep_for(100ms);  // the client says its last words and resets meanwhile
    std::string got = co_await Take(stream, 4);
    const auto before = std::chrono::steady_clock::now();
    got += co_await stream->More(before + 10s) == Stream::Got::ended ? " ended" : " timeout";
    if (stream->ended_cleanly()) got += " cleanly";
    if (std::chrono::steady_clock::now() - before > 3s) got += " late";
    seen.set_value(got);
  });
  RawClient raw(listener_->port());
  raw.Send("ping");
  std::this_thread::sleep_for(30ms);
  raw.Send("last");
  raw.Reset();
  EXPECT_EQ(seen.get_future().get(), "last ended");
}

TEST_F(TcpTest, AnEndThatComesWithTheLastBytesIsNoticedAtOnce) {
  std::promise<std::string> seen;
  Serve([&](std::shared_ptr<Stream> stream, auto) -> asio::awaitable<void> {
    (void)co_await Take(stream, 4);
    std::this_thread::sleep_for(100ms);
    std::string got = co_await Take(stream, 4);
    const auto before = std::chrono::steady_clock::now();
    (void)co_await stream->More(before + 10s);
    if (stream->ended_cleanly()) got += " cleanly";
    if (std::chrono::steady_clock::now() - before > 500ms) got += " late";
    seen.set_value(got);
  });
  RawClient raw(listener_->port());
  raw.Send("ping");
  std::this_thread::sleep_for(30ms);
  raw.Send("last");
  raw.CloseWriting();
  EXPECT_EQ(seen.get_future().get(), "last cleanly");
}

TEST_F(TcpTest, WhoeverSaysGoodbyeTakesTheReadFromTheOneThatWaits) {
  std::promise<std::string> seen;
  Serve([&](std::shared_ptr<Stream> stream, auto) -> asio::awaitable<void> {
    Spawn(shards_.executor(shards_.current()),
          [](std::shared_ptr<Stream> s) -> asio::awaitable<void> {
            (void)co_await Sleep(50ms);
            (void)co_await Say(s, "bye");
            co_await s->Linger(200ms);
          }(stream));
    const auto got = co_await stream->More(Soon());
    const bool open = !stream->closed();
    // The other one has what comes now.
    (void)co_await Sleep(50ms);
    stream->Consume(100);
    seen.set_value(std::string(got == Stream::Got::ended ? "ended" : "data") +
                   (open ? " open" : " closed") + std::to_string(stream->data().size()));
    (void)co_await Sleep(300ms);
  });
  RawClient a(listener_->port());
  EXPECT_EQ(a.ReadUntil("bye", 2s), "bye");
  a.Send("late words");
  EXPECT_EQ(seen.get_future().get(), "ended open0");
}

TEST_F(TcpTest, DrainStopsAcceptingOnly) {
  Serve(EchoFour);
  RawClient a(listener_->port());
  ASSERT_TRUE(Eventually([&] { return listener_->connections() == 1; }));
  listener_->Drain();
  EXPECT_TRUE(Eventually([&] { return !RawClient(listener_->port()).connected(); }));
  a.Send("abcd");
  EXPECT_THAT(a.ReadAll(1s), HasSubstr("abcd from"));
}

TEST_F(TcpTest, ATakenOrBadAddressIsAnError) {
  Serve(EchoFour);
  const std::string address = "127.0.0.1:" + std::to_string(listener_->port());
  auto again = TcpListener::Listen(shards_, {address, 1, EchoFour});
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().code, Errc::io_failed);
  EXPECT_THAT(again.error().detail, HasSubstr(address));
  EXPECT_EQ(TcpListener::Listen(shards_, {"nowhere", 1, EchoFour}).error().code,
            Errc::config_invalid);
}

TEST_F(TcpTest, UnixSockets) {
  Serve(EchoFour);
  const std::string path = authority_.path(".s.PGSQL.5432");
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_un at{};
  at.sun_family = AF_UNIX;
  path.copy(at.sun_path, sizeof at.sun_path - 1);
  ASSERT_EQ(::bind(fd, reinterpret_cast<sockaddr*>(&at), sizeof at), 0);
  ASSERT_EQ(::listen(fd, 4), 0);
  std::thread server([&] {
    const int peer = ::accept(fd, nullptr, nullptr);
    char buffer[16];
    const ssize_t n = ::recv(peer, buffer, sizeof buffer, 0);
    for (int i = 0; i < 3; ++i) ::send(peer, buffer, size_t(n), 0);
    ::close(peer);
  });
  EXPECT_EQ(Run(AskFour(path, 0, 1s)), "pingpingping");
  server.join();
  ::close(fd);
  EXPECT_THAT(Run(AskFour(path, 0, 1s)), HasSubstr("<upstream-unreachable> " + path));
  EXPECT_THAT(Run(AskFour("/" + std::string(200, 'x'), 0, 1s)), HasSubstr("too long"));
}

/// What PostgreSQL does: a plain request of four bytes, one byte as the answer, then TLS.
asio::awaitable<void> Upgrade(TcpTest& test, std::shared_ptr<Stream> stream) {
  const std::string request = co_await Take(stream, 4);
  (void)co_await Say(stream, "S");
  if (auto started = stream->StartTls(test.ServerEngine()); !started) co_return;
  if (auto shaken = co_await stream->Handshake(Soon()); !shaken) co_return;
  const std::string got = co_await Take(stream, 4);
  (void)co_await Say(stream, got + " " + std::string(stream->tls_engine()->protocol()));
}

struct Asked {
  Protocol protocol = Protocol::postgresql;
  Verify verify = Verify::full;
  std::string host = "localhost";
};

asio::awaitable<std::string> AskUnderTls(uint16_t port, TlsContext context, Asked asked,
                                         std::string* hash = nullptr) {
  auto stream = co_await Connect("127.0.0.1", port, 1s);
  if (!stream) co_return stream.error().detail;
  (void)co_await Say(*stream, "tls?");
  if (co_await Take(*stream, 1) != "S") co_return "no";
  (void)(*stream)->StartTls(
      TlsEngine::Client(context.get(), asked.host, asked.protocol, asked.verify));
  if (auto shaken = co_await (*stream)->Handshake(Soon()); !shaken)
    co_return "refused: " + shaken.error().detail;
  if (hash != nullptr) *hash = (*stream)->tls_engine()->PeerCertificateHash();
  (void)co_await Say(*stream, "ping");
  std::string answer = co_await Take(*stream, 1000);
  (*stream)->Close();
  co_return answer.empty() ? "closed" : answer;
}

TEST_F(TcpTest, UpgradesInPlaceOnBothSides) {
  MakeTls("good");
  Serve([this](auto stream, auto) { return Upgrade(*this, stream); });
  const uint16_t port = listener_->port();
  auto ours = Client({authority_.path("ca.pem"), {}, {}});
  EXPECT_EQ(Run(AskUnderTls(port, ours, {})), "ping postgresql");
  EXPECT_THAT(Run(AskUnderTls(port, ours, {.protocol = Protocol::http})), HasSubstr("refused"));
}

TEST_F(TcpTest, HowMuchOfACertificateIsJudged) {
  authority_.MakeLeaf("other", "DNS:other.invalid");
  MakeTls("other");
  Serve([this](auto stream, auto) { return Upgrade(*this, stream); });
  const uint16_t port = listener_->port();
  auto ours = Client({authority_.path("ca.pem"), {}, {}});
  auto foreign = Client({});
  EXPECT_THAT(Run(AskUnderTls(port, ours, {})), HasSubstr("hostname mismatch"));
  EXPECT_EQ(Run(AskUnderTls(port, ours, {.verify = Verify::ca})), "ping postgresql");
  EXPECT_THAT(Run(AskUnderTls(port, foreign, {.verify = Verify::ca})), HasSubstr("refused"));
  EXPECT_EQ(Run(AskUnderTls(port, foreign, {.verify = Verify::none})), "ping postgresql");
}

TEST_F(TcpTest, PlainBytesBehindTheRequestAreRefused) {
  MakeTls("good");
  std::atomic<bool> refused = false;
  Serve([&](std::shared_ptr<Stream> stream, auto) -> asio::awaitable<void> {
    (void)co_await Take(stream, 4);
    const auto started = stream->StartTls(ServerEngine());
    refused = !started && started.error().code == Errc::request_malformed;
  });
  RawClient raw(listener_->port());
  raw.Send("tls?evil");
  EXPECT_EQ(raw.ReadAll(2s), "");
  EXPECT_TRUE(raw.closed());
  EXPECT_TRUE(refused);
}

TEST_F(TcpTest, DirectTls) {
  MakeTls("good");
  Serve([&](std::shared_ptr<Stream> stream, auto) -> asio::awaitable<void> {
    (void)co_await stream->More(Soon());
    if (!stream->StartTls(ServerEngine(), Stream::Ahead::sealed)) co_return;
    if (!co_await stream->Handshake(Soon())) co_return;
    (void)co_await Say(stream, "hello " + std::string(stream->tls_engine()->protocol()) + ".");
  });
  RawClient raw(listener_->port());
  std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)> context(SSL_CTX_new(TLS_client_method()),
                                                            SSL_CTX_free);
  std::unique_ptr<SSL, decltype(&SSL_free)> ssl(SSL_new(context.get()), SSL_free);
  SSL_set_fd(ssl.get(), raw.fd());
  ASSERT_EQ(SSL_connect(ssl.get()), 1);
  char buffer[64];
  const int n = SSL_read(ssl.get(), buffer, sizeof buffer);
  EXPECT_EQ(std::string(buffer, size_t(std::max(n, 0))), "hello .") << "without ALPN: empty";
}

TEST_F(TcpTest, AReadThatWaitsWhenTlsStartsIsSealed) {
  MakeTls("good");
  Serve([&](std::shared_ptr<Stream> stream, auto) -> asio::awaitable<void> {
    stream->Watch();
    if (!stream->StartTls(ServerEngine())) co_return;
    if (!co_await stream->Handshake(Soon())) co_return;
    (void)co_await Say(stream, "hello");
  });
  RawClient raw(listener_->port());
  std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)> context(SSL_CTX_new(TLS_client_method()),
                                                            SSL_CTX_free);
  std::unique_ptr<SSL, decltype(&SSL_free)> ssl(SSL_new(context.get()), SSL_free);
  SSL_set_fd(ssl.get(), raw.fd());
  std::this_thread::sleep_for(20ms);
  EXPECT_EQ(SSL_connect(ssl.get()), 1);
}

std::string DigestOfFile(const std::string& path, const EVP_MD* digest) {
  std::unique_ptr<FILE, int (*)(FILE*)> file(std::fopen(path.c_str(), "r"), std::fclose);
  std::unique_ptr<X509, decltype(&X509_free)> x(
      PEM_read_X509(file.get(), nullptr, nullptr, nullptr), X509_free);
  unsigned char hash[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  X509_digest(x.get(), digest, hash, &size);
  return {reinterpret_cast<const char*>(hash), size};
}

TEST_F(TcpTest, EndPointHashesByRfc5929) {
  authority_.MakeSelfSigned("sha512", "RSA", EVP_sha512());
  authority_.MakeSelfSigned("sha1", "RSA", EVP_sha1());
  authority_.MakeSelfSigned("ed", "ED25519", nullptr);
  std::string own;
  Serve([&](std::shared_ptr<Stream> stream, auto) -> asio::awaitable<void> {
    (void)co_await Take(stream, 4);
    auto engine = ServerEngine();
    own = engine->OwnCertificateHash();
    (void)co_await Say(stream, "S");
    (void)stream->StartTls(std::move(engine));
    if (!co_await stream->Handshake(Soon())) co_return;
    (void)co_await Say(stream, "x");
  });
  for (const auto& [name, digest] : {std::pair<std::string, const EVP_MD*>("good", EVP_sha256()),
                                     {"sha512", EVP_sha512()},
                                     {"sha1", EVP_sha256()},
                                     {"ed", nullptr}}) {
    MakeTls(name);
    std::string peer = "unset";
    EXPECT_EQ(Run(AskUnderTls(listener_->port(), Client({}), {.verify = Verify::none}, &peer)),
              "x");
    const std::string expected =
        digest != nullptr ? DigestOfFile(authority_.path(name + ".pem"), digest) : "";
    EXPECT_EQ(peer, expected) << name;
    EXPECT_EQ(own, expected) << name;
  }
}

TEST_F(TcpTest, ClientCertificatesAreCheckedWhenLoaded) {
  authority_.MakeLeaf("client", "DNS:client");
  EXPECT_TRUE(MakeClientContext(
      {authority_.path("ca.pem"), authority_.path("client.pem"), authority_.path("client.key")}));
  const auto wrong = MakeClientContext(
      {authority_.path("ca.pem"), authority_.path("client.pem"), authority_.path("good.key")});
  ASSERT_FALSE(wrong);
  EXPECT_EQ(wrong.error().code, Errc::config_invalid);
  EXPECT_THAT(wrong.error().detail, HasSubstr("good.key"));
}

}  // namespace
}  // namespace sallyport::net
