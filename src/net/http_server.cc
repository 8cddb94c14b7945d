#include "net/http_server.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <utility>
#include <vector>

#include "net/acceptor.h"
#include "net/event.h"
#include "net/http_connection.h"
#include "net/shards.h"
#include "net/tls.h"

namespace sallyport::net {

namespace asio = boost::asio;
using asio::ip::tcp;

namespace {

/// The part of a server on one shard; touched by that shard only once it accepts.
class Listener final : public Acceptor {
 public:
  Listener(Loop& loop, std::shared_ptr<ServerShared> shared)
      : Acceptor(loop), limits_(shared->options.limits), shared_(std::move(shared)) {}

  void SetLimits(const HttpLimits& limits) { limits_ = limits; }
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
  void Accepted(Socket socket, std::string peer) override {
    address_ = std::move(peer);
    if (Admit(socket)) Serve(std::move(socket));
  }

  /// Counts the connection in, or refuses it.
  bool Admit(Socket& socket) {
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
    auto stream = std::make_shared<Stream>(loop(), std::move(socket), std::move(tls));
    auto connection = std::make_shared<HttpConnection>(shared_, limits_, std::move(stream),
                                                       std::exchange(address_, {}), loop());
    connection->InsertBefore(connections_);
    Spawn(loop().context().get_executor(), HttpConnection::Run(std::move(connection)));
  }

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
    SALLYPORT_CHECK(
        CheckPortIsFree(Loop::Of(shards.executor(0)), endpoint, shared_->options.address));
    for (size_t i = 0; i < shards.size(); ++i) {
      auto listener = std::make_shared<Listener>(Loop::Of(shards.executor(i)), shared_);
      SALLYPORT_CHECK(listener->Bind(endpoint, shared_->options.address));
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
