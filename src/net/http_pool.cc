#include "net/http_pool.h"

#include <algorithm>
#include <boost/asio/ip/tcp.hpp>
#include <utility>

namespace sallyport::net {

namespace asio = boost::asio;
using asio::ip::tcp;

namespace {

using Resolver = asio::ip::basic_resolver<tcp, asio::io_context::executor_type>;

/// What a callback leaves for a coroutine that may have given up meanwhile.
template <class T>
struct Handover {
  explicit Handover(Loop& loop) : parking(loop) {}
  Parking parking;
  boost::system::error_code error;
  T value{};
};

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
  SALLYPORT_CO_TRY(const std::vector<tcp::endpoint> endpoints, co_await Resolve(origin, until));
  Result<> connected = Fail(Errc::upstream_unreachable, Name(origin) + ": no address");
  for (size_t i = 0; i < endpoints.size(); ++i) {
    // One address that swallows everything must not eat the time of the others.
    const TimePoint now = std::chrono::steady_clock::now();
    if (now >= until) break;
    connected = co_await ConnectTo(connection, endpoints[i],
                                   now + (until - now) / int(endpoints.size() - i));
    if (connected || connected.error().code == Errc::cancelled) break;
  }
  if (!connected) co_return std::unexpected(connected.error());
  const Result<> shaken = co_await connection.stream_->Handshake(until);
  if (!shaken)
    co_return Fail(shaken.error().code == Errc::upstream_timeout ? Errc::upstream_timeout
                                                                 : Errc::upstream_unreachable,
                   Name(origin) + ": TLS: " + shaken.error().detail);
  co_return Result<>();
}

Task<std::vector<tcp::endpoint>> HttpPool::Resolve(const Origin& origin, TimePoint until) {
  boost::system::error_code error;
  const auto address = asio::ip::make_address(origin.host, error);
  std::vector<tcp::endpoint> endpoints;
  if (!error) {
    endpoints.emplace_back(address, origin.port);
    co_return endpoints;
  }
  // The system's resolver blocks on a thread of its own and cannot be interrupted: whoever waits
  // too long leaves it behind.
  const auto handover = std::make_shared<Handover<std::vector<tcp::endpoint>>>(loop_);
  const auto resolver = std::make_shared<Resolver>(loop_.context());
  resolver->async_resolve(
      origin.host, std::to_string(origin.port), Resolver::numeric_service,
      [handover, resolver](boost::system::error_code e, const Resolver::results_type& results) {
        handover->error = e;
        for (const auto& entry : results) handover->value.push_back(entry.endpoint());
        handover->parking.Resume();
      });
  const Parking::Wake wake = co_await handover->parking.Wait(until);
  if (wake == Parking::Wake::timeout)
    co_return Fail(Errc::upstream_timeout, origin.host + ": name resolution");
  if (wake == Parking::Wake::gone) co_return Fail(Errc::cancelled);
  if (handover->error)
    co_return Fail(Errc::upstream_unreachable, origin.host + ": " + handover->error.message());
  co_return std::move(handover->value);
}

Task<> HttpPool::ConnectTo(PooledConnection& connection, tcp::endpoint endpoint, TimePoint until) {
  const Origin& origin = connection.origin_;
  const auto handover = std::make_shared<Handover<std::optional<Socket>>>(loop_);
  handover->value.emplace(loop_.context());
  handover->value->async_connect(endpoint, [handover](boost::system::error_code error) {
    handover->error = error;
    handover->parking.Resume();
  });
  const Parking::Wake wake = co_await handover->parking.Wait(until);
  if (wake != Parking::Wake::signalled) {
    boost::system::error_code ignored;
    handover->value->close(ignored);
    if (wake == Parking::Wake::gone) co_return Fail(Errc::cancelled);
    co_return Fail(Errc::upstream_timeout, Name(origin) + ": connecting");
  }
  if (handover->error)
    co_return Fail(Errc::upstream_unreachable, Name(origin) + ": " + handover->error.message());
  std::unique_ptr<TlsEngine> tls;
  if (origin.tls) tls = TlsEngine::Client(tls_->get(), origin.host);
  connection.stream_ = std::make_shared<Stream>(loop_, std::move(*handover->value), std::move(tls));
  connection.stream_->SetRoom(limits_.header_bytes);
  co_return Result<>();
}

}  // namespace sallyport::net
