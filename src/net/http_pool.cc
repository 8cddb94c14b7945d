#include "net/http_pool.h"

#include <algorithm>
#include <utility>

#include "net/connector.h"

namespace sallyport::net {

namespace {

/// In the line of those who wait, however that ends.
class InLine {
 public:
  InLine(std::list<Parking*>& line, Parking& parking) : line_(line), parking_(parking) {
    line_.push_back(&parking);
  }
  InLine(const InLine&) = delete;
  ~InLine() { line_.remove(&parking_); }

 private:
  std::list<Parking*>& line_;
  Parking& parking_;
};

std::string Name(const Origin& origin) { return origin.host + ":" + std::to_string(origin.port); }

}  // namespace

PooledConnection::PooledConnection(std::shared_ptr<HttpPool> pool, Origin origin)
    : pool_(std::move(pool)),
      origin_(std::move(origin)),
      idle_(pool_->loop_, [this] { pool_->Remove(*this); }) {
  ++pool_->connections_;
  ++pool_->places_[origin_].open;
}

PooledConnection::~PooledConnection() {
  Close();
  --pool_->connections_;
  const auto place = pool_->places_.find(origin_);
  --place->second.open;
  pool_->WakeOne(place->second);
}

void PooledConnection::Close() {
  if (stream_) stream_->Close();
}

void PooledConnection::Keep(std::shared_ptr<PooledConnection> connection) {
  PooledConnection& c = *connection;
  Stream& stream = *c.stream_;
  if (!stream.data().empty() || stream.ended()) return c.Close();
  c.reused_ = true;
  // An upstream that closes, or speaks without being asked: either way the connection is of no more
  // use.
  stream.OnEnd([pool = c.pool_, &c] { pool->Remove(c); });
  stream.OnData([pool = c.pool_, &c] { pool->Remove(c); });
  stream.Watch();
  c.idle_.SetAfter(c.pool_->limits_.idle_timeout);
  HttpPool::Place& place = c.pool_->places_[c.origin_];
  place.idle.push_back(std::move(connection));
  c.pool_->WakeOne(place);
}

HttpPool::HttpPool(Loop& loop, ClientLimits limits, Result<TlsContext> tls)
    : loop_(loop), limits_(limits), tls_(std::move(tls)) {}

void HttpPool::WakeOne(Place& place) {
  if (place.waiting.empty()) return;
  Parking* first = place.waiting.front();
  place.waiting.pop_front();  // so that the next connection wakes the next one
  first->Signal();
}

/// Out of the idle ones and closed; the connection is gone afterwards.
void HttpPool::Remove(PooledConnection& connection) {
  auto& idle = places_[connection.origin_].idle;
  const auto found =
      std::ranges::find_if(idle, [&](const auto& c) { return c.get() == &connection; });
  if (found == idle.end()) return;
  const auto removed = std::move(*found);
  idle.erase(found);
  removed->Close();
}

void HttpPool::CloseIdle() {
  for (;;) {
    const auto found =
        std::ranges::find_if(places_, [](const auto& place) { return !place.second.idle.empty(); });
    if (found == places_.end()) return;
    Remove(*found->second.idle.back());
  }
}

Task<std::shared_ptr<PooledConnection>> HttpPool::Acquire(Origin origin, bool fresh) {
  const auto self = shared_from_this();
  TimePoint until{};
  for (;;) {
    Place& place = places_[origin];
    if (!fresh && !place.idle.empty()) {
      auto connection = std::move(place.idle.back());
      place.idle.pop_back();
      connection->idle_.Clear();
      connection->stream_->OnEnd({});
      connection->stream_->OnData({});
      co_return connection;
    }
    if (until == TimePoint{}) until = std::chrono::steady_clock::now() + limits_.connect_timeout;
    if (place.open < limits_.connections_per_origin) break;
    if (fresh && !place.idle.empty()) {
      Remove(*place.idle.front());
      continue;
    }
    Parking parking(loop_);
    Parking::Wake wake;
    {
      const InLine in_line(place.waiting, parking);
      wake = co_await parking.Wait(until);
    }
    if (wake == Parking::Wake::timeout)
      co_return Fail(Errc::upstream_timeout, "no free connection to " + Name(origin));
    if (wake == Parking::Wake::gone) co_return Fail(Errc::cancelled);
  }
  auto connection = std::make_shared<PooledConnection>(self, origin);
  SALLYPORT_CO_CHECK(co_await Connect(*connection, until));
  co_return connection;
}

Task<> HttpPool::Connect(PooledConnection& connection, TimePoint until) {
  const Origin& origin = connection.origin_;
  if (origin.tls && !tls_) co_return std::unexpected(tls_.error());
  SALLYPORT_CO_TRY(Socket socket, co_await ConnectSocket(loop_, origin.host, origin.port, until));
  std::unique_ptr<TlsEngine> tls;
  if (origin.tls) tls = TlsEngine::Client(tls_->get(), origin.host);
  connection.stream_ = std::make_shared<Stream>(loop_, std::move(socket), std::move(tls));
  connection.stream_->SetRoom(limits_.header_bytes);
  const Result<> shaken = co_await connection.stream_->Handshake(until);
  if (!shaken)
    co_return Fail(shaken.error().code == Errc::upstream_timeout ? Errc::upstream_timeout
                                                                 : Errc::upstream_unreachable,
                   Name(origin) + ": TLS: " + shaken.error().detail);
  co_return Result<>();
}

}  // namespace sallyport::net
