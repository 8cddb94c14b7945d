#include "net/tcp.h"

#include <atomic>
#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <utility>
#include <vector>

#include "net/acceptor.h"
#include "net/connector.h"
#include "net/event.h"
#include "net/shards.h"

namespace sallyport::net {

namespace asio = boost::asio;
using asio::ip::tcp;

namespace {

/// A peer that vanished without a word is noticed after about two minutes.
void KeepAlive(Socket& socket) {
  boost::system::error_code ignored;
  socket.set_option(asio::socket_base::keep_alive(true), ignored);
  const int fd = socket.native_handle();
  for (const auto& [option, value] :
       {std::pair(TCP_KEEPIDLE, 60), std::pair(TCP_KEEPINTVL, 15), std::pair(TCP_KEEPCNT, 4)})
    ::setsockopt(fd, IPPROTO_TCP, option, &value, sizeof value);  // a Unix socket has none
}

struct Shared {
  TcpListener::Options options;
  std::atomic<size_t> connections{0};
};

/// A connection that counts for as long as it lives.
class Counted {
 public:
  explicit Counted(std::shared_ptr<Shared> shared) : shared_(std::move(shared)) {
    shared_->connections.fetch_add(1, std::memory_order_relaxed);
  }
  Counted(Counted&&) noexcept = default;
  Shared& shared() { return *shared_; }
  ~Counted() {
    if (shared_) shared_->connections.fetch_sub(1, std::memory_order_relaxed);
  }

 private:
  std::shared_ptr<Shared> shared_;
};

/// Closes on every way out, an exception among them.
struct Closing {
  std::shared_ptr<Stream> stream;
  ~Closing() { stream->Close(); }
};

asio::awaitable<void> Serve(Counted counted, std::shared_ptr<Stream> stream, std::string peer) {
  const Closing closing{stream};
  co_await counted.shared().options.on_accept(std::move(stream), std::move(peer));
}

class Port final : public Acceptor {
 public:
  Port(Loop& loop, std::shared_ptr<Shared> shared) : Acceptor(loop), shared_(std::move(shared)) {}

 private:
  void Accepted(Socket socket, std::string peer) override {
    // Two shards may each let in one at the same moment: the bound is against floods, not exact.
    if (shared_->connections.load(std::memory_order_relaxed) >= shared_->options.connections)
      return;
    KeepAlive(socket);
    auto stream = std::make_shared<Stream>(loop(), std::move(socket), nullptr);
    Spawn(loop().context().get_executor(),
          Serve(Counted(shared_), std::move(stream), std::move(peer)));
  }

  const std::shared_ptr<Shared> shared_;
};

class Listener final : public TcpListener {
 public:
  explicit Listener(Options options) : shared_(std::make_shared<Shared>()) {
    shared_->options = std::move(options);
  }
  ~Listener() override { Drain(); }

  Result<> Bind(Shards& shards) {
    const std::string& address = shared_->options.address;
    SALLYPORT_TRY(tcp::endpoint endpoint, ParseAddress(address));
    SALLYPORT_CHECK(CheckPortIsFree(Loop::Of(shards.executor(0)), endpoint, address));
    for (size_t i = 0; i < shards.size(); ++i) {
      auto port = std::make_shared<Port>(Loop::Of(shards.executor(i)), shared_);
      SALLYPORT_CHECK(port->Bind(endpoint, address));
      endpoint.port(port->port());
      executors_.push_back(shards.executor(i));
      ports_.push_back(std::move(port));
    }
    port_ = endpoint.port();
    Each([](Port& port) { port.Accept(); });
    return {};
  }

  uint16_t port() const override { return port_; }
  size_t connections() const override {
    return shared_->connections.load(std::memory_order_relaxed);
  }
  void Drain() override {
    Each([](Port& port) { port.StopAccepting(); });
  }

 private:
  template <class F>
  void Each(F f) {
    for (size_t i = 0; i < ports_.size(); ++i)
      asio::post(executors_[i], [port = ports_[i], f] { f(*port); });
  }

  const std::shared_ptr<Shared> shared_;
  std::vector<asio::any_io_executor> executors_;
  std::vector<std::shared_ptr<Port>> ports_;
  uint16_t port_ = 0;
};

}  // namespace

Result<std::unique_ptr<TcpListener>> TcpListener::Listen(Shards& shards, Options options) {
  auto listener = std::make_unique<Listener>(std::move(options));
  SALLYPORT_CHECK(listener->Bind(shards));
  return listener;
}

Task<std::shared_ptr<Stream>> Connect(const std::string& host, uint16_t port,
                                      std::chrono::milliseconds limit) {
  Loop& loop = Loop::Of(co_await asio::this_coro::executor);
  SALLYPORT_CO_TRY(Socket socket, co_await ConnectSocket(loop, host, port,
                                                         std::chrono::steady_clock::now() + limit));
  KeepAlive(socket);
  co_return std::make_shared<Stream>(loop, std::move(socket), nullptr);
}

}  // namespace sallyport::net
