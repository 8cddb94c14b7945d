#pragma once

#include <atomic>
#include <list>
#include <map>
#include <memory>
#include <string>
#include <tuple>
#include <vector>

#include "net/http_client.h"
#include "net/stream.h"
#include "net/tls.h"

namespace sallyport::net {

class HttpPool;

/// A connection to an upstream, in use or kept for the next request. Each counts against its
/// origin's limit from the moment it is asked for until it dies.
class PooledConnection : public std::enable_shared_from_this<PooledConnection> {
 public:
  PooledConnection(std::shared_ptr<HttpPool> pool, Origin origin);
  ~PooledConnection();
  PooledConnection(const PooledConnection&) = delete;

  Stream& stream() { return *stream_; }
  bool reused() const { return reused_; }
  void Close();
  /// Gives it back; it must be at the start of a new exchange. Closes it if bytes came that nobody
  /// asked for.
  static void Keep(std::shared_ptr<PooledConnection> connection);

 private:
  friend class HttpPool;
  const std::shared_ptr<HttpPool> pool_;
  const Origin origin_;
  std::shared_ptr<Stream> stream_;
  bool reused_ = false;
  Deadline idle_;
};

/// Keep-alive connections of one shard, by origin, the last one used first. An idle one always has
/// a read pending, so it leaves the pool when the upstream closes it. Touched by its shard only.
class HttpPool : public std::enable_shared_from_this<HttpPool> {
 public:
  HttpPool(Loop& loop, ClientLimits limits, Result<TlsContext> tls);

  /// A connection that is ready for a request. `fresh`: not one that was used before.
  Task<std::shared_ptr<PooledConnection>> Acquire(Origin origin, bool fresh);
  size_t connections() const { return connections_; }
  const ClientLimits& limits() const { return limits_; }
  Loop& loop() { return loop_; }
  void CloseIdle();

 private:
  friend class PooledConnection;
  struct Place {
    size_t open = 0;
    std::vector<std::shared_ptr<PooledConnection>> idle;
    std::list<Parking*> waiting;  // for a free connection, first come first served
  };
  struct Order {
    bool operator()(const Origin& a, const Origin& b) const {
      return std::tie(a.port, a.host, a.tls) < std::tie(b.port, b.host, b.tls);
    }
  };

  Task<> Connect(PooledConnection& connection, TimePoint until);
  void Remove(PooledConnection& connection);
  void WakeOne(Place& place);

  Loop& loop_;
  const ClientLimits limits_;
  const Result<TlsContext> tls_;
  std::atomic<size_t> connections_{0};  // read by metrics from anywhere
  std::map<Origin, Place, Order> places_;
};

}  // namespace sallyport::net
