#include "pg/jit_role_admin.h"

#include <charconv>

namespace sallyport::pg {
namespace {

using Clock = std::chrono::steady_clock;

int64_t Number(const std::optional<std::string>& text) {
  int64_t value = 0;
  if (text) std::from_chars(text->data(), text->data() + text->size(), value);
  return value;
}

}  // namespace

AdminPool::AdminPool(boost::asio::any_io_executor executor,
                     std::shared_ptr<const ServerAddress> address, LoginSource login)
    : executor_(executor),
      address_(std::move(address)),
      login_(std::move(login)),
      freed_(executor) {}

Task<AdminPool::Borrowed> AdminPool::Take() {
  const auto self = shared_from_this();
  const auto until = Clock::now() + kLimit;
  for (;;) {
    while (!idle_.empty()) {
      Connection connection = std::move(idle_.back());
      idle_.pop_back();
      // A server that said something while nobody asked is on its way out.
      if (!connection.server.stream->ended() && connection.server.stream->data().empty())
        co_return Borrowed(self, std::move(connection));
      connection.server.stream->Close();
      --open_;
    }
    if (open_ < kMost) break;
    freed_.Clear();
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - Clock::now());
    if (left.count() <= 0)
      co_return Fail(Errc::upstream_timeout, "no administrator's connection is free");
    (void)co_await freed_.Wait(left);
  }
  ++open_;
  auto connection = co_await Open();
  if (!connection) {
    --open_;
    freed_.Set();
    co_return std::unexpected(std::move(connection.error()));
  }
  co_return Borrowed(self, std::move(*connection));
}

Task<AdminPool::Connection> AdminPool::Open() {
  Connection connection;
  SALLYPORT_CO_TRY(ServerLogin login, co_await login_());
  SALLYPORT_CO_TRY(connection.server, co_await LogIn(*address_, std::move(login)));
  SALLYPORT_CO_TRY(
      const auto rows,
      co_await Query(
          connection.server,
          // The names in our texts are not to be found elsewhere first.
          "SET search_path = pg_catalog, pg_temp;"
          "SELECT pg_catalog.current_setting('server_version_num'),"
          " (SELECT rolsuper::int FROM pg_catalog.pg_roles WHERE rolname = current_user),"
          " (extract(epoch FROM pg_catalog.clock_timestamp()) * 1000)::int8",
          kLimit));
  if (rows.size() != 1 || rows[0].size() != 3)
    co_return Fail(Errc::upstream_protocol, "an administrator's connection: no facts");
  connection.facts.version = static_cast<int>(Number(rows[0][0]));
  connection.facts.superuser = Number(rows[0][1]) == 1;
  connection.facts.ahead = Number(rows[0][2]) * 1'000'000 - SystemClock().WallNow();
  co_return connection;
}

void AdminPool::Return(Connection connection) {
  if (!connection.server.stream) return;  // moved from
  freed_.Set();
  if (connection.server.stream->closed() || connection.server.stream->ended()) {
    connection.server.stream->Close();
    --open_;
    return;
  }
  connection.server.stream->Watch();
  connection.idle_since = Clock::now();
  idle_.push_back(std::move(connection));
  if (!std::exchange(closing_, true)) net::Spawn(executor_, CloseIdle(weak_from_this()));
}

boost::asio::awaitable<void> AdminPool::CloseIdle(std::weak_ptr<AdminPool> weak) {
  for (;;) {
    (void)co_await net::Sleep(kIdle / 2);
    const auto pool = weak.lock();
    if (!pool) co_return;
    const auto now = Clock::now();
    std::erase_if(pool->idle_, [&](Connection& connection) {
      if (now - connection.idle_since < kIdle) return false;
      connection.server.stream->Close();
      --pool->open_;
      return true;
    });
    if (pool->idle_.empty()) {
      pool->closing_ = false;
      co_return;
    }
  }
}

}  // namespace sallyport::pg
