#include "net/http_server.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <charconv>
#include <utility>
#include <vector>

#include "net/event.h"
#include "net/http_connection.h"
#include "net/shards.h"
#include "net/tls.h"
#include "obs/log.h"

namespace sallyport::net {

namespace asio = boost::asio;
using asio::ip::tcp;

namespace {

using Acceptor = asio::basic_socket_acceptor<tcp, asio::io_context::executor_type>;

Result<tcp::endpoint> ParseAddress(const std::string& text) {
  const size_t colon = text.rfind(':');
  if (colon == text.npos) return Fail(Errc::config_invalid, text + " is not address:port");
  std::string host = text.substr(0, colon);
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  if (host == "localhost") host = "127.0.0.1";
  boost::system::error_code error;
  const auto address = asio::ip::make_address(host, error);
  unsigned port = 0;
  const char* end = text.data() + text.size();
  const auto read = std::from_chars(text.data() + colon + 1, end, port);
  if (error || read.ec != std::errc() || read.ptr != end || port > 65535)
    return Fail(Errc::config_invalid, text + " is not address:port");
  return tcp::endpoint(address, uint16_t(port));
}

/// SO_REUSEPORT lets a second process of the same user share a port in silence. A socket without it cannot be
/// bound beside such a listener: so this fails where another server already is.
Result<> CheckPortIsFree(asio::io_context& context, const tcp::endpoint& endpoint, const std::string& address) {
  if (endpoint.port() == 0) return {};
  boost::system::error_code error;
  tcp::acceptor probe(context);
  probe.open(endpoint.protocol(), error);
  if (!error) probe.set_option(asio::socket_base::reuse_address(true), error);
  if (!error) probe.bind(endpoint, error);
  if (error) return Fail(Errc::io_failed, address + ": bind: " + error.message());
  return {};
}

/// The part of a server on one shard; touched by that shard only once it accepts.
class Listener : public std::enable_shared_from_this<Listener> {
 public:
  Listener(Loop& loop, std::shared_ptr<ServerShared> shared)
      : loop_(loop),
        acceptor_(loop.context()),
        limits_(shared->options.limits),
        shared_(std::move(shared)) {}

  Result<> Bind(const tcp::endpoint& endpoint) {
    boost::system::error_code error;
    const auto failed = [&](const char* what) {
      return Fail(Errc::io_failed, shared_->options.address + ": " + what + ": " + error.message());
    };
    const asio::detail::socket_option::boolean<SOL_SOCKET, SO_REUSEPORT> shared_port(true);
    if (acceptor_.open(endpoint.protocol(), error); error) return failed("socket");
    if (acceptor_.set_option(asio::socket_base::reuse_address(true), error); error)
      return failed("SO_REUSEADDR");
    if (acceptor_.set_option(shared_port, error); error) return failed("SO_REUSEPORT");
    if (acceptor_.bind(endpoint, error); error) return failed("bind");
    if (acceptor_.listen(4096, error); error) return failed("listen");
    return {};
  }
  uint16_t port() const { return acceptor_.local_endpoint().port(); }

  void Accept() {
    if (!acceptor_.is_open()) return;
    acceptor_.async_accept(
        [self = shared_from_this()](boost::system::error_code error, Socket socket) {
          self->Accepted(error, std::move(socket));
        });
  }
  void SetLimits(const HttpLimits& limits) { limits_ = limits; }
  void StopAccepting() {
    boost::system::error_code ignored;
    acceptor_.close(ignored);
  }
  void Drain() {
    StopAccepting();
    for (Link* at = connections_.next; at != &connections_;) {
      auto& connection = static_cast<HttpConnection&>(*at);
      at = at->next;
      connection.Drain();
    }
  }
  void CloseAll() {
    StopAccepting();
    for (Link* at = connections_.next; at != &connections_;) {
      auto& connection = static_cast<HttpConnection&>(*at);
      at = at->next;
      connection.Close();
    }
  }

 private:
  void Accepted(boost::system::error_code error, Socket socket) {
    if (error == asio::error::operation_aborted || !acceptor_.is_open()) return;
    if (error) {
      // Out of descriptors or memory: a short rest instead of a loop that eats the core.
      obs::Log(obs::Level::error, "net.accept_failed", {{"detail", error.message()}});
      Spawn(loop_.context().get_executor(), Rest(shared_from_this()));
      return;
    }
    if (Admit(socket)) Serve(std::move(socket));
    Accept();
  }

  static asio::awaitable<void> Rest(std::shared_ptr<Listener> self) {
    (void)co_await Sleep(std::chrono::milliseconds(100));
    self->Accept();
  }

  /// Counts the connection in, or refuses it.
  bool Admit(Socket& socket) {
    boost::system::error_code error;
    const tcp::endpoint peer = socket.remote_endpoint(error);
    if (error) return false;
    auto address = peer.address();
    if (address.is_v6() && address.to_v6().is_v4_mapped())
      address = asio::ip::make_address_v4(asio::ip::v4_mapped, address.to_v6());
    address_ = address.to_string();
    if (shared_->connections.fetch_add(1, std::memory_order_relaxed) >= limits_.connections) {
      shared_->connections.fetch_sub(1, std::memory_order_relaxed);
      return Turn(socket, "too many connections");
    }
    if (limits_.connections_per_address > 0) {
      std::lock_guard lock(shared_->mutex);
      uint32_t& count = shared_->per_address[address_];
      if (count >= limits_.connections_per_address) {
        shared_->connections.fetch_sub(1, std::memory_order_relaxed);
        return Turn(socket, "too many connections of one address");
      }
      ++count;
    }
    return true;
  }

  bool Turn(Socket& socket, std::string_view why) {
    shared_->Refused(address_, Refusal{503, Errc::limit_exceeded, why});
    static constexpr std::string_view kBusy =
        "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nRetry-After: 1\r\nConnection: "
        "close\r\n\r\n";
    if (!shared_->options.tls)
      (void)::send(socket.native_handle(), kBusy.data(), kBusy.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    return false;
  }

  void Serve(Socket socket) {
    std::unique_ptr<TlsEngine> tls;
    if (shared_->options.tls) tls = TlsEngine::Server(CurrentContext(*shared_->options.tls).get());
    auto stream = std::make_shared<Stream>(loop_, std::move(socket), std::move(tls));
    auto connection = std::make_shared<HttpConnection>(shared_, limits_, std::move(stream),
                                                       std::exchange(address_, {}), loop_);
    connection->InsertBefore(connections_);
    Spawn(loop_.context().get_executor(), HttpConnection::Run(std::move(connection)));
  }

  Loop& loop_;
  Acceptor acceptor_;
  HttpLimits limits_;
  const std::shared_ptr<ServerShared> shared_;
  std::string address_;  // of the connection that is being accepted
  Link connections_;
};

class Server final : public HttpServer {
 public:
  explicit Server(std::shared_ptr<ServerShared> shared) : shared_(std::move(shared)) {}
  ~Server() override {
    Each([](Listener& listener) { listener.CloseAll(); });
  }

  Result<> Bind(Shards& shards) {
    SALLYPORT_TRY(tcp::endpoint endpoint, ParseAddress(shared_->options.address));
    SALLYPORT_CHECK(CheckPortIsFree(Loop::Of(shards.executor(0)).context(), endpoint,
                                    shared_->options.address));
    for (size_t i = 0; i < shards.size(); ++i) {
      auto listener = std::make_shared<Listener>(Loop::Of(shards.executor(i)), shared_);
      SALLYPORT_CHECK(listener->Bind(endpoint));
      endpoint.port(listener->port());
      executors_.push_back(shards.executor(i));
      listeners_.push_back(std::move(listener));
    }
    port_ = endpoint.port();
    Each([](Listener& listener) { listener.Accept(); });
    return {};
  }

  uint16_t port() const override { return port_; }
  void SetLimits(const HttpLimits& limits) override {
    Each([limits](Listener& listener) { listener.SetLimits(limits); });
  }
  void Drain() override {
    shared_->draining.store(true);
    Each([](Listener& listener) { listener.Drain(); });
  }
  size_t active() const override { return shared_->active.load(std::memory_order_relaxed); }
  size_t connections() const override {
    return shared_->connections.load(std::memory_order_relaxed);
  }

 private:
  template <class F>
  void Each(F f) {
    for (size_t i = 0; i < listeners_.size(); ++i)
      asio::post(executors_[i], [listener = listeners_[i], f] { f(*listener); });
  }

  const std::shared_ptr<ServerShared> shared_;
  std::vector<asio::any_io_executor> executors_;
  std::vector<std::shared_ptr<Listener>> listeners_;
  uint16_t port_ = 0;
};

}  // namespace

Result<std::unique_ptr<HttpServer>> HttpServer::Listen(Shards& shards, Options options) {
  auto shared = std::make_shared<ServerShared>();
  shared->options = std::move(options);
  auto server = std::make_unique<Server>(std::move(shared));
  SALLYPORT_CHECK(server->Bind(shards));
  return server;
}

}  // namespace sallyport::net
