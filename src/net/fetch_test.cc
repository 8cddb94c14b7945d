#include "net/fetch.h"

#include <arpa/inet.h>
#include <atomic>
#include <csignal>
#include <cstdlib>
#include <functional>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <string>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>

namespace sallyport::net {
namespace {

using std::chrono::milliseconds;
using testing::HasSubstr;

/// A loopback listener that hands each connection to `serve` on its own thread.
class Listener {
 public:
  explicit Listener(std::function<void(int)> serve) : serve_(std::move(serve)) {
    fd_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::bind(fd_, reinterpret_cast<sockaddr*>(&at), sizeof at), 0);
    EXPECT_EQ(::listen(fd_, 8), 0);
    socklen_t size = sizeof at;
    ::getsockname(fd_, reinterpret_cast<sockaddr*>(&at), &size);
    port_ = ntohs(at.sin_port);
    thread_ = std::thread([this] { Loop(); });
  }
  ~Listener() {
    stop_ = true;
    thread_.join();
    ::close(fd_);
  }
  std::string port() const { return std::to_string(port_); }
  int connections() const { return connections_; }

 private:
  void Loop() {
    while (!stop_) {
      pollfd p{fd_, POLLIN, 0};
      if (::poll(&p, 1, 20) != 1) continue;
      int c = ::accept4(fd_, nullptr, nullptr, SOCK_CLOEXEC);
      ++connections_;
      serve_(c);
      ::close(c);
    }
  }
  std::function<void(int)> serve_;
  int fd_ = -1;
  uint16_t port_ = 0;
  std::atomic<int> connections_{0};
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

std::string ReadHead(int fd) {
  std::string head;
  char c;
  while (!head.ends_with("\r\n\r\n") && ::recv(fd, &c, 1, 0) == 1) head += c;
  return head;
}

void Send(int fd, std::string_view text) {
  while (!text.empty()) {
    ssize_t n = ::send(fd, text.data(), text.size(), MSG_NOSIGNAL);
    if (n <= 0) return;
    text.remove_prefix(size_t(n));
  }
}

FetchRequest To(const Listener& listener, const std::string& path = "/") {
  FetchRequest r;
  r.url = "http://127.0.0.1:" + listener.port() + path;
  r.allow_loopback_http = true;
  return r;
}

TEST(Fetch, GetAndHeaders) {
  std::string head;
  Listener server([&](int fd) {
    head = ReadHead(fd);
    Send(fd, "HTTP/1.1 200 OK\r\nCache-Control:  max-age=60 \r\nContent-Length: 5\r\n\r\nhello");
  });
  auto r = To(server, "/a?b=c");
  r.headers = {{"Accept", "application/json"}};
  auto got = FetchUrl(r);
  ASSERT_TRUE(got) << got.error().detail;
  EXPECT_EQ(got->status, 200);
  EXPECT_EQ(got->body, "hello");
  EXPECT_EQ(got->Header("cache-control"), "max-age=60");
  EXPECT_EQ(got->Header("none"), "");
  EXPECT_THAT(head, HasSubstr("GET /a?b=c HTTP/1.1"));
  EXPECT_THAT(head, HasSubstr("Accept: application/json"));
}

TEST(Fetch, Post) {
  std::string head, body(7, ' ');
  Listener server([&](int fd) {
    head = ReadHead(fd);
    ::recv(fd, body.data(), body.size(), MSG_WAITALL);
    Send(fd, "HTTP/1.1 204 No Content\r\n\r\n");
  });
  auto r = To(server);
  r.method = "POST";
  r.body = "a=b&c=d";
  r.headers = {{"Content-Type", "application/x-www-form-urlencoded"}};
  auto got = FetchUrl(r);
  ASSERT_TRUE(got) << got.error().detail;
  EXPECT_EQ(got->status, 204);
  EXPECT_EQ(body, "a=b&c=d");
  EXPECT_THAT(head, HasSubstr("POST / "));
}

TEST(Fetch, RedirectsAreNotFollowed) {
  Listener server([&](int fd) {
    ReadHead(fd);
    Send(fd, "HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n");
  });
  auto got = FetchUrl(To(server));
  ASSERT_TRUE(got);
  EXPECT_EQ(got->status, 302);
  EXPECT_EQ(server.connections(), 1);
}

TEST(Fetch, TheBodyIsCountedWhileReading) {
  std::atomic<size_t> sent{0};
  Listener server([&](int fd) {
    ReadHead(fd);
    Send(fd, "HTTP/1.1 200 OK\r\n\r\n");  // no length: until the end
    std::string piece(64 * 1024, 'x');
    for (int i = 0; i < 1000; ++i) {
      ssize_t n = ::send(fd, piece.data(), piece.size(), MSG_NOSIGNAL);
      if (n <= 0) return;
      sent += size_t(n);
    }
  });
  auto r = To(server);
  r.max_body = 100'000;
  EXPECT_EQ(FetchUrl(r).error().code, Errc::upstream_too_large);
  EXPECT_LT(sent, size_t(20) << 20) << "it hung up early";
}

TEST(Fetch, ABodyOfExactlyTheLimitPasses) {
  Listener server([](int fd) {
    ReadHead(fd);
    Send(fd, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
  });
  auto r = To(server);
  r.max_body = 5;
  EXPECT_TRUE(FetchUrl(r));
  r.max_body = 4;
  EXPECT_EQ(FetchUrl(r).error().code, Errc::upstream_too_large);
}

TEST(Fetch, EndlessHeaders) {
  Listener server([](int fd) {
    ReadHead(fd);
    Send(fd, "HTTP/1.1 200 OK\r\n");
    for (int i = 0; i < 10'000; ++i)
      Send(fd, "X-" + std::to_string(i) + ": yyyyyyyyyyyyyyyyyy\r\n");
    Send(fd, "\r\n");
  });
  EXPECT_EQ(FetchUrl(To(server)).error().code, Errc::upstream_too_large);
}

TEST(Fetch, TimesOutAndStops) {
  Listener server([](int fd) {
    ReadHead(fd);
    pollfd p{fd, POLLIN, 0};
    ::poll(&p, 1, 3000);  // until the client hangs up
  });
  auto r = To(server);
  r.timeout = milliseconds(150);
  auto begin = std::chrono::steady_clock::now();
  EXPECT_EQ(FetchUrl(r).error().code, Errc::upstream_timeout);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, milliseconds(1500));

  r.timeout = milliseconds(10'000);
  std::stop_source source;
  r.stop = source.get_token();
  std::thread stopper([&] {
    std::this_thread::sleep_for(milliseconds(50));
    source.request_stop();
  });
  begin = std::chrono::steady_clock::now();
  EXPECT_EQ(FetchUrl(r).error().code, Errc::cancelled);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, milliseconds(2500));
  stopper.join();
}

TEST(Fetch, BrokenServers) {
  Listener garbage([](int fd) {
    ReadHead(fd);
    Send(fd, "SSH-2.0-OpenSSH\r\n");
  });
  EXPECT_FALSE(FetchUrl(To(garbage)));
  Listener shut([](int) {});
  EXPECT_EQ(FetchUrl(To(shut)).error().code, Errc::upstream_protocol);
  Listener cut([](int fd) {
    ReadHead(fd);
    Send(fd, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhello");
  });
  EXPECT_EQ(FetchUrl(To(cut)).error().code, Errc::upstream_protocol);
}

TEST(Fetch, UrlsThatAreNotHttps) {
  Listener server([](int fd) { ReadHead(fd); });
  std::string p = server.port();
  for (const std::string& url :
       {"http://127.0.0.1:" + p + "/", "http://localhost:" + p + "/",
        std::string("file:///etc/passwd"), std::string("gopher://127.0.0.1:") + p + "/_x",
        std::string("https://user@idp.example/"), std::string("x"), std::string()}) {
    FetchRequest r;
    r.url = url;
    EXPECT_EQ(FetchUrl(r).error().code, Errc::config_invalid) << url;
  }
  FetchRequest r;
  r.allow_loopback_http = true;
  for (const std::string& url : {std::string("http://example.com/"), "http://127.0.0.1.evil:" + p,
                                 "http://localhost@evil:" + p, "http://2130706434:" + p}) {
    r.url = url;
    EXPECT_EQ(FetchUrl(r).error().code, Errc::config_invalid) << url;
  }
  EXPECT_EQ(server.connections(), 0);
}

TEST(Fetch, PlainHttpToServicesOfTheMachineOnly) {
  FetchRequest r;
  r.timeout = std::chrono::milliseconds(200);
  // Allowed, but not one of those.
  for (const char* host : {"192.0.2.7", "169.254.169.253", "10.0.0.1"}) {
    r.url = "http://" + std::string(host) + "/", r.allow_addresses = {host};
    EXPECT_EQ(FetchUrl(r).error().code, Errc::config_invalid) << host;
  }
  // One of those, but not allowed; or allowed with others.
  r.url = "http://169.254.169.254/";
  for (const char* allowed : {"169.254.170.2", "169.254.0.0/16", "0.0.0.0/0"}) {
    r.allow_addresses = {allowed};
    EXPECT_EQ(FetchUrl(r).error().code, Errc::config_invalid) << allowed;
  }
  r.allow_addresses.clear();
  EXPECT_EQ(FetchUrl(r).error().code, Errc::config_invalid);
}

TEST(Fetch, InternalAddressesAreNotConnectedTo) {
  Listener server([](int fd) { ReadHead(fd); });
  for (auto host : {"127.0.0.1", "localhost", "0x7f000001", "2130706433", "0177.0.0.1",
                    "[::ffff:127.0.0.1]", "[::127.0.0.1]", "[64:ff9b::7f00:1]", "[2002:7f00:1::]",
                    "[::1]", "0.0.0.0", "127.1", "169.254.169.254"}) {
    FetchRequest r;
    r.url = "https://" + std::string(host) + ":" + server.port() + "/";
    r.timeout = milliseconds(500);
    auto got = FetchUrl(r);
    ASSERT_FALSE(got) << host;
    EXPECT_EQ(got.error().code, Errc::upstream_unreachable) << host;
    EXPECT_THAT(got.error().detail, HasSubstr("allow_addresses")) << host;
  }
  EXPECT_EQ(server.connections(), 0) << "a packet went out";
}

TEST(Fetch, NoProxyFromTheEnvironment) {
  Listener server([](int fd) {
    ReadHead(fd);
    Send(fd, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
  });
  Listener proxy([](int fd) { ReadHead(fd); });
  ::setenv("http_proxy", ("http://127.0.0.1:" + proxy.port()).c_str(), 1);
  ::setenv("ALL_PROXY", ("http://127.0.0.1:" + proxy.port()).c_str(), 1);
  EXPECT_TRUE(FetchUrl(To(server)));
  ::unsetenv("http_proxy");
  ::unsetenv("ALL_PROXY");
  EXPECT_EQ(proxy.connections(), 0);
}

TEST(Fetch, RequestsThatCannotBeSent) {
  FetchRequest r;
  r.url = "https://example.com/";
  r.method = "DELETE";
  EXPECT_EQ(FetchUrl(r).error().code, Errc::config_invalid);
  r.method = "GET";
  r.headers = {{"A", "b\r\nEvil: 1"}};
  EXPECT_EQ(FetchUrl(r).error().code, Errc::config_invalid);
  r.headers.clear();
  r.allow_addresses = {"10.0.0.0/33"};
  EXPECT_EQ(FetchUrl(r).error().code, Errc::config_invalid);
}

TEST(AddressFilter, PublicAndInternal) {
  auto code = [](std::string_view address, const std::vector<std::string>& allow = {}) {
    auto r = CheckAddress(address, allow);
    return std::string(r ? "public" : ReasonCode(r.error().code));
  };
  for (auto a : {"8.8.8.8", "1.1.1.1", "172.32.0.1", "100.128.0.1", "192.0.1.1", "2606:4700::1111",
                 "::ffff:8.8.8.8", "64:ff9b::808:808", "2002:808:808::1", "2a00:1450::1"}) {
    EXPECT_EQ(code(a), "public") << a;
  }
  for (auto a : {"0.0.0.0",
                 "10.1.2.3",
                 "127.0.0.1",
                 "127.255.0.1",
                 "100.64.0.1",
                 "169.254.169.254",
                 "172.16.0.1",
                 "172.31.255.255",
                 "192.168.1.1",
                 "192.0.0.1",
                 "198.18.0.1",
                 "198.19.9.9",
                 "224.0.0.1",
                 "255.255.255.255",
                 "240.0.0.1",
                 "192.0.2.1",
                 "::",
                 "::1",
                 "::127.0.0.1",
                 "::ffff:127.0.0.1",
                 "::ffff:10.0.0.1",
                 "64:ff9b::7f00:1",
                 "64:ff9b:1::1",
                 "2002:7f00:1::",
                 "2001::1",
                 "2001:db8::1",
                 "fe80::1",
                 "fec0::1",
                 "fc00::1",
                 "fd12::1",
                 "ff02::1",
                 "100::1",
                 "3fff::1"}) {
    EXPECT_EQ(code(a), "upstream-unreachable") << a;
  }
  EXPECT_EQ(code("10.1.2.3", {"10.1.0.0/16"}), "public");
  EXPECT_EQ(code("10.2.2.3", {"10.1.0.0/16"}), "upstream-unreachable");
  EXPECT_EQ(code("::ffff:10.1.2.3", {"10.1.0.0/16"}), "public");
  EXPECT_EQ(code("10.1.2.3", {"10.1.2.3"}), "public");
  EXPECT_EQ(code("10.1.2.4", {"10.1.2.3"}), "upstream-unreachable");
  EXPECT_EQ(code("fd12::1", {"fd12::/32"}), "public");
  EXPECT_EQ(code("172.31.1.1", {"172.16.0.0/13"}), "upstream-unreachable");
  EXPECT_EQ(code("172.23.1.1", {"172.16.0.0/13"}), "public");
  for (auto bad : {"10.0.0.0/", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0/8", "x", "", "fd00::/129",
                   "10.0.0.0/8x"}) {
    EXPECT_EQ(code("8.8.8.8", {bad}), "config-invalid") << bad;
  }
  EXPECT_EQ(code("localhost"), "config-invalid");
}

/// A certificate authority that is its own server certificate for 127.0.0.1.
struct SelfSigned {
  EVP_PKEY* key = EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", "P-256");
  X509* cert = X509_new();
  SelfSigned() {
    X509_set_version(cert, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(cert), 1);
    X509_gmtime_adj(X509_getm_notBefore(cert), -3600);
    X509_gmtime_adj(X509_getm_notAfter(cert), 3600);
    X509_set_pubkey(cert, key);
    X509_NAME* name = X509_get_subject_name(cert);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
                               reinterpret_cast<const uint8_t*>("test authority"), -1, -1, 0);
    X509_set_issuer_name(cert, name);
    for (auto [nid, value] : {std::pair{NID_basic_constraints, "critical,CA:TRUE"},
                              std::pair{NID_subject_alt_name, "IP:127.0.0.1"}}) {
      X509_EXTENSION* e = X509V3_EXT_conf_nid(nullptr, nullptr, nid, value);
      X509_add_ext(cert, e, -1);
      X509_EXTENSION_free(e);
    }
    X509_sign(cert, key, EVP_sha256());
  }
  ~SelfSigned() {
    X509_free(cert);
    EVP_PKEY_free(key);
  }
  void Write(const std::string& path) const {
    FILE* f = std::fopen(path.c_str(), "w");
    PEM_write_X509(f, cert);
    std::fclose(f);
  }
};

TEST(Fetch, HttpsWithOurOwnAuthorityOnly) {
  std::signal(SIGPIPE, SIG_IGN);
  SelfSigned identity;
  SSL_CTX* ctx = SSL_CTX_new(TLS_server_method());
  SSL_CTX_use_certificate(ctx, identity.cert);
  SSL_CTX_use_PrivateKey(ctx, identity.key);
  Listener server([&](int fd) {
    SSL* ssl = SSL_new(ctx);
    SSL_set_fd(ssl, fd);
    if (SSL_accept(ssl) == 1) {
      char buffer[4096];
      SSL_read(ssl, buffer, sizeof buffer);
      const std::string text = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
      SSL_write(ssl, text.data(), int(text.size()));
      SSL_shutdown(ssl);
    }
    SSL_free(ssl);
  });
  FetchRequest r;
  r.url = "https://127.0.0.1:" + server.port() + "/";
  r.allow_addresses = {"127.0.0.0/8"};
  EXPECT_EQ(FetchUrl(r).error().code, Errc::upstream_unreachable)
      << "not signed by a system authority";
  r.ca_file = testing::TempDir() + "fetch_test_ca.pem";
  identity.Write(r.ca_file);
  auto got = FetchUrl(r);
  ASSERT_TRUE(got) << got.error().detail;
  EXPECT_EQ(got->body, "ok");
  r.url = "https://localhost:" + server.port() + "/";
  r.allow_addresses.push_back("::1");
  EXPECT_EQ(FetchUrl(r).error().code, Errc::upstream_unreachable)
      << "the certificate is for 127.0.0.1";
  r.ca_file = "/nonexistent.pem";
  EXPECT_FALSE(FetchUrl(r));
  SSL_CTX_free(ctx);
}

}  // namespace
}  // namespace sallyport::net
