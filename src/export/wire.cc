#include "export/wire.h"

#include <algorithm>
#include <arpa/inet.h>
#include <array>
#include <cerrno>
#include <cstring>
#include <linux/sockios.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

namespace sallyport::exporting {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr milliseconds kSlice{200};
constexpr milliseconds kLinger{1'000};

struct FreeAddresses {
  void operator()(addrinfo* list) const { freeaddrinfo(list); }
};

std::unexpected<Error> Closed() {
  return Fail(Errc::upstream_closed, "the receiver broke the connection");
}

/// Small buffers, so that what is lost with a connection is little; quick to notice a dead peer.
void Configure(int fd) {
  const int one = 1, buffer = 128 << 10, idle = 30, interval = 10, count = 3, dead_ms = 60'000;
  (void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof one);
  (void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &buffer, sizeof buffer);
  (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof idle);
  (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof interval);
  (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &count, sizeof count);
  (void)setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &dead_ms, sizeof dead_ms);
}

}  // namespace

Result<> Wire::Wait(short events, steady_clock::time_point until) const {
  for (;;) {
    if (stop_.stop_requested()) return Fail(Errc::cancelled, "stopped");
    const auto left = std::chrono::duration_cast<milliseconds>(until - steady_clock::now());
    if (left <= milliseconds(0)) return Fail(Errc::upstream_timeout, "the receiver is too slow");
    pollfd watched{socket_.get(), events, 0};
    const int n = ::poll(&watched, 1, int(std::min(left, kSlice).count()));
    if (n > 0) return {};
    if (n < 0 && errno != EINTR) return Closed();
  }
}

Result<std::unique_ptr<Wire>> Wire::Connect(const std::string& host, uint16_t port,
                                            const net::TlsContext& context, milliseconds limit,
                                            std::stop_token stop) {
  const auto until = steady_clock::now() + limit;
  const std::string place = host + ":" + std::to_string(port);
  addrinfo hints{}, *found = nullptr;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_ADDRCONFIG | AI_NUMERICSERV;
  if (const int why = getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &found))
    return Fail(Errc::upstream_unreachable, place + ": " + gai_strerror(why));
  const std::unique_ptr<addrinfo, FreeAddresses> list(found);
  Error last(Errc::upstream_unreachable, place + ": no address");
  for (const addrinfo* a = found; a != nullptr; a = a->ai_next) {
    Descriptor socket(
        ::socket(a->ai_family, a->ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, a->ai_protocol));
    if (!socket) continue;
    Configure(socket.get());
    std::unique_ptr<Wire> wire(new Wire(std::move(socket), stop));
    const int fd = wire->socket_.get();
    if (::connect(fd, a->ai_addr, a->ai_addrlen) != 0 && errno != EINPROGRESS) {
      last = Error(Errc::upstream_unreachable, place + ": " + std::strerror(errno));
      continue;
    }
    if (Result<> ready = wire->Wait(POLLOUT, until); !ready) {
      last = ready.error();
      continue;
    }
    int why = 0;
    socklen_t size = sizeof why;
    (void)getsockopt(fd, SOL_SOCKET, SO_ERROR, &why, &size);
    if (why != 0) {
      last = Error(Errc::upstream_unreachable, place + ": " + std::strerror(why));
      continue;
    }
    if (context) {
      if (Result<> spoken = wire->StartTls(context, host, until); !spoken) {
        last = Error(spoken.error().code, place + ": " + spoken.error().detail);
        continue;
      }
    }
    return wire;
  }
  return std::unexpected(std::move(last));
}

Result<> Wire::WaitForTls(int result, steady_clock::time_point until) {
  const int wants = SSL_get_error(tls_.get(), result);
  if (wants == SSL_ERROR_WANT_READ) return Wait(POLLIN, until);
  if (wants == SSL_ERROR_WANT_WRITE) return Wait(POLLOUT, until);
  const long verdict = SSL_get_verify_result(tls_.get());
  const char* why = verdict != X509_V_OK ? X509_verify_cert_error_string(verdict)
                                         : ERR_reason_error_string(ERR_peek_last_error());
  const bool shaking = SSL_in_init(tls_.get()) != 0;
  std::string detail = why != nullptr ? std::string("TLS: ") + why : "the receiver closed";
  ERR_clear_error();  // of this thread, for all its connections
  return Fail(shaking ? Errc::upstream_protocol : Errc::upstream_closed, std::move(detail));
}

Result<> Wire::StartTls(const net::TlsContext& context, const std::string& host,
                        steady_clock::time_point until) {
  ERR_clear_error();
  tls_.reset(SSL_new(context.get()));
  SSL* tls = tls_.get();
  if (tls == nullptr) throw std::bad_alloc();
  unsigned char bytes[16];
  const bool address =
      inet_pton(AF_INET, host.c_str(), bytes) == 1 || inet_pton(AF_INET6, host.c_str(), bytes) == 1;
  SSL_set_verify(tls, SSL_VERIFY_PEER, nullptr);
  SSL_set_hostflags(tls, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
  const bool named = address ? X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(tls), host.c_str()) == 1
                             : SSL_set1_host(tls, host.c_str()) == 1 &&
                                   SSL_set_tlsext_host_name(tls, host.c_str()) == 1;
  if (!named || SSL_set_fd(tls, socket_.get()) != 1)
    return Fail(Errc::config_invalid, "this host cannot be connected to by TLS");
  // The rest of a record is offered again from wherever it stands by then.
  SSL_set_mode(tls, SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_ENABLE_PARTIAL_WRITE);
  for (;;) {
    const int done = SSL_connect(tls);
    if (done == 1) return {};
    SALLYPORT_CHECK(WaitForTls(done, until));
  }
}

Result<> Wire::Write(std::string_view bytes, milliseconds limit) {
  while (!bytes.empty()) {
    if (tls_) {
      ERR_clear_error();
      size_t n = 0;
      const int done = SSL_write_ex(tls_.get(), bytes.data(), bytes.size(), &n);
      if (done != 1) SALLYPORT_CHECK(WaitForTls(done, steady_clock::now() + limit));
      if (done == 1) bytes.remove_prefix(n);
      continue;
    }
    const ssize_t n = ::send(socket_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (n > 0) {
      plain_written_ += uint64_t(n);
      bytes.remove_prefix(size_t(n));
    } else if (n < 0 && errno == EAGAIN) {
      SALLYPORT_CHECK(Wait(POLLOUT, steady_clock::now() + limit));
    } else if (n == 0 || errno != EINTR) {
      return Closed();
    }
  }
  return {};
}

Wire::State Wire::LookUnderTls() {
  char ignored[4096];
  for (;;) {
    ERR_clear_error();
    const int n = SSL_read(tls_.get(), ignored, sizeof ignored);
    if (n > 0) continue;  // whatever it says, this protocol has no place for it
    switch (SSL_get_error(tls_.get(), n)) {
      case SSL_ERROR_WANT_READ:
      case SSL_ERROR_WANT_WRITE:
        return State::open;
      case SSL_ERROR_ZERO_RETURN:
        return State::ended;
      default:
        ERR_clear_error();
        return State::broken;
    }
  }
}

Wire::State Wire::Look() {
  if (tls_) return LookUnderTls();
  char ignored[4096];
  for (;;) {
    const ssize_t n = ::recv(socket_.get(), ignored, sizeof ignored, MSG_DONTWAIT);
    if (n > 0 || (n < 0 && errno == EINTR)) continue;
    if (n == 0) return State::ended;
    return errno == EAGAIN ? State::open : State::broken;
  }
}

uint64_t Wire::written() const {
  return tls_ ? BIO_number_written(SSL_get_wbio(tls_.get())) : plain_written_;
}

void Wire::FreeTls::operator()(ssl_st* tls) const { SSL_free(tls); }

uint64_t Wire::acknowledged() const {
  int left = 0;
  if (::ioctl(socket_.get(), SIOCOUTQ, &left) != 0 || left < 0) return 0;
  return written() - std::min<uint64_t>(written(), uint64_t(left));
}

Wire::~Wire() {
  if (!socket_) return;
  if (tls_ && SSL_is_init_finished(tls_.get()) == 1) {
    ERR_clear_error();
    (void)SSL_shutdown(tls_.get());
  }
  // Closing with bytes unread would reset the connection, and take from the receiver what it has
  // not read yet.
  (void)::shutdown(socket_.get(), SHUT_WR);
  const auto until = steady_clock::now() + kLinger;
  while (steady_clock::now() < until && Look() == State::open) {
    pollfd watched{socket_.get(), POLLIN, 0};
    (void)::poll(&watched, 1, 100);
  }
}

}  // namespace sallyport::exporting
