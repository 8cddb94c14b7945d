#pragma once

#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include "base/task.h"
#include "net/stream.h"

namespace sallyport::net {

class Shards;

/// A plain TCP listener for protocols that are not HTTP: one socket per shard (SO_REUSEPORT); an
/// accepted connection stays on its shard. TCP_NODELAY and keepalive are set.
class TcpListener {
 public:
  struct Options {
    std::string address;            // "127.0.0.1:5433", "[::1]:5433"
    uint32_t connections = 10'000;  // beyond it a connection is closed at once
    /// Runs on the shard for each connection and is its life: when it returns, the connection is
    /// closed and counts no longer. `peer` is the address without its port. It starts plain; see
    /// Stream::StartTls.
    std::function<boost::asio::awaitable<void>(std::shared_ptr<Stream> stream, std::string peer)>
        on_accept;
  };
  /// Binds and starts to accept. io_failed with the address and the system's reason.
  static Result<std::unique_ptr<TcpListener>> Listen(Shards& shards, Options options);
  virtual ~TcpListener() = default;
  virtual uint16_t port() const = 0;
  virtual size_t connections() const = 0;
  /// Stops accepting; connections go on.
  virtual void Drain() = 0;
};

/// Connects to `host` (a name, an address, or the whole path of a Unix socket, which begins with
/// "/"; the port then says nothing) on the caller's shard, with TCP_NODELAY and keepalive.
/// upstream_unreachable, upstream_timeout, cancelled.
Task<std::shared_ptr<Stream>> Connect(const std::string& host, uint16_t port,
                                      std::chrono::milliseconds limit);

}  // namespace sallyport::net
