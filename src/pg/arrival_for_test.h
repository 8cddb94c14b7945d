#pragma once

#include <atomic>
#include <gtest/gtest.h>
#include <memory>
#include <mutex>
#include <openssl/ssl.h>
#include <string>
#include <vector>

#include "identity/test_idp.h"
#include "net/http_server.h"
#include "net/raw_client_for_test.h"
#include "net/shards.h"
#include "net/tcp.h"
#include "net/tls_for_test.h"
#include "pg/arrival.h"
#include "pg/frame.h"

namespace sallyport::pg {

/// A PostgreSQL client that says exactly what a test wants, plain or under TLS.
class WireClient {
 public:
  explicit WireClient(uint16_t port) : raw_(port) {
    const timeval limit{5, 0};
    ::setsockopt(raw_.fd(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  }

  net::RawClient& raw() { return raw_; }
  bool StartTls(const std::string& alpn = {}) {
    context_.reset(SSL_CTX_new(TLS_client_method()));
    if (!alpn.empty())
      SSL_CTX_set_alpn_protos(context_.get(), reinterpret_cast<const unsigned char*>(alpn.data()),
                              unsigned(alpn.size()));
    ssl_.reset(SSL_new(context_.get()));
    SSL_set_fd(ssl_.get(), raw_.fd());
    return SSL_connect(ssl_.get()) == 1;
  }
  bool Send(std::string_view bytes) {
    if (ssl_) return SSL_write(ssl_.get(), bytes.data(), int(bytes.size())) == int(bytes.size());
    return raw_.Send(bytes);
  }
  /// What comes next, at least one byte; empty at the end.
  std::string ReadSome() {
    if (!ssl_) return raw_.ReadSome();
    char buffer[16 << 10];
    const int n = SSL_read(ssl_.get(), buffer, sizeof buffer);
    return n > 0 ? std::string(buffer, size_t(n)) : std::string();
  }
  std::string Take(size_t n) {
    while (rest_.size() < n) {
      std::string more = ReadSome();
      if (more.empty()) break;
      rest_ += more;
    }
    std::string taken = rest_.substr(0, n);
    rest_.erase(0, taken.size());
    return taken;
  }
  /// The next message with its head; empty at the end.
  std::string Message() {
    std::string head = Take(FrameHead::kSize);
    if (head.size() < FrameHead::kSize) return head;
    return head + Take(PeekHead(head)->body());
  }
  /// Everything until the server closes.
  std::string ReadAll() {
    std::string all;
    for (std::string some; !(some = Take(1)).empty();) all += some;
    return all;
  }

 private:
  net::RawClient raw_;
  std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)> context_{nullptr, SSL_CTX_free};
  std::unique_ptr<SSL, decltype(&SSL_free)> ssl_{nullptr, SSL_free};
  std::string rest_;
};

/// A field of an ErrorResponse; empty if there is none.
inline std::string Field(std::string_view message, char code) {
  if (message.empty() || message[0] != 'E') return {};
  BodyReader reader(message.substr(FrameHead::kSize));
  for (char at; (at = char(reader.U8())) != 0;) {
    const std::string_view value = reader.CString();
    if (at == code) return std::string(value);
  }
  return {};
}

inline std::string Packet(uint32_t code, std::string_view body = {}) {
  std::string out;
  MessageWriter(out).Begin(0).U32(code).Bytes(body).End();
  return out;
}
inline std::string StartupPacket(const Parameters& pairs, uint32_t minor = 0) {
  std::string body;
  for (const auto& [name, value] : pairs) body += name + '\0' + value + '\0';
  return Packet(3 << 16 | minor, body + '\0');
}
inline std::string PasswordMessage(const std::string& password) {
  std::string out;
  MessageWriter(out).Begin('p').CString(password).End();
  return out;
}
inline const std::string kSslRequest = Packet(80877103);
inline const std::string kGssRequest = Packet(80877104);

/// A door with nothing behind it: who gets through is told "<user> <database> <name> …" in one
/// NoticeResponse of a kind, and the connection closes.
class ArrivalTest : public testing::Test {
 public:
  struct Seen {
    std::string reason, database;
    bool operator==(const Seen&) const = default;
  };

  void SetUp() override {
    authority_.MakeLeaf("good", "DNS:localhost,IP:127.0.0.1");
    idp_.ServeKeys({signer_.PublicJwk()});
    auto verifier = identity::TokenVerifier::Create(
        {.providers = {identity::test::Corp()}, .agents = {}}, idp_.fetch(), clock_, {});
    ASSERT_TRUE(verifier);
    verifier_ = std::move(*verifier);
    verifier_->FetchDue();
    options_.tls =
        *net::TlsServer::Make({authority_.path("good.pem"), authority_.path("good.key")});
    options_.verifier = verifier_.get();
    options_.issuer_metadata = "https://idp/.well-known/openid-configuration";
    options_.scope = "openid";
    options_.on_refused = [this](const std::string& address, const Error& error,
                                 const std::string& database) {
      EXPECT_EQ(address, "127.0.0.1");
      std::lock_guard lock(mutex_);
      refused_.push_back({std::string(ReasonCode(error.code)), database});
    };
  }
  void TearDown() override {
    if (shards_) shards_->Stop();
    listener_.reset();
    shards_.reset();
  }
  uint16_t port() {
    if (!listener_) Open();
    return listener_->port();
  }
  std::string Token(nlohmann::json claims = identity::test::Claims()) {
    return *signer_.Sign(claims.dump(), "at+jwt");
  }
  /// A token of exactly that many bytes.
  std::string TokenOf(size_t size) {
    auto claims = identity::test::Claims();
    std::string token = Token(claims);
    for (size_t n = 1; token.size() < size; ++n) {
      claims["pad"] =
          std::string((size - token.size()) * 3 / 4 + claims.value("pad", "").size(), 'x');
      token = Token(claims);
      if (n > 20) break;
    }
    return token;
  }
  std::vector<Seen> refused() {
    std::lock_guard lock(mutex_);
    return refused_;
  }
  bool Eventually(const std::function<bool()>& f) {
    const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(5);
    while (std::chrono::steady_clock::now() < until) {
      if (f()) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
    return false;
  }

  net::TestAuthority authority_;
  identity::Signer signer_ = *identity::Signer::Generate(identity::Alg::es256, "k1");
  identity::test::FakeClock clock_;
  identity::test::FakeIdp idp_{"https://idp"};
  std::unique_ptr<identity::TokenVerifier> verifier_;
  ArrivalOptions options_;
  std::unique_ptr<net::Shards> shards_;
  std::unique_ptr<net::TcpListener> listener_;
  std::atomic<int> cancels_{0};

 private:
  void Open() {
    shards_ = std::make_unique<net::Shards>(1);
    net::TcpListener::Options options;
    options.address = "127.0.0.1:0";
    options.on_accept = [this](std::shared_ptr<net::Stream> stream, std::string peer) {
      return Answer(std::move(stream), std::move(peer));
    };
    listener_ = std::move(*net::TcpListener::Listen(*shards_, std::move(options)));
    shards_->Start();
  }
  boost::asio::awaitable<void> Answer(std::shared_ptr<net::Stream> stream, std::string peer) {
    auto arrived = co_await Receive(stream, std::move(peer), options_);
    if (!arrived) co_return;
    if (auto* cancel = std::get_if<CancelRequest>(&*arrived)) {
      cancels_ += cancel->key == "secret" ? 1 : 100;
      co_return;
    }
    Arrival& arrival = std::get<Arrival>(*arrived);
    std::string text = arrival.startup.user + " " + arrival.startup.database + " " +
                       arrival.who->principal.subject + " " + arrival.address + " 3." +
                       std::to_string(arrival.startup.minor) + (arrival.tls ? " tls" : " plain");
    for (const auto& [name, value] : arrival.startup.parameters) text += " " + name + "=" + value;
    text += " [" + std::string(arrival.stream->data()) + "]";
    std::string out;
    MessageWriter(out).Begin('N').Bytes(text).End();
    (void)co_await stream->Finish(net::Pieces(out), std::chrono::seconds(1));
  }

  std::mutex mutex_;
  std::vector<Seen> refused_;
};

}  // namespace sallyport::pg
