#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/task.h"
#include "net/event.h"
#include "pg/credentials.h"
#include "pg/server.h"

namespace sallyport::pg {

/// The administrator's connections of one shard: a few, opened when needed, closed after some idle
/// seconds. Touched by its shard only.
class AdminPool : public std::enable_shared_from_this<AdminPool> {
 public:
  static constexpr size_t kMost = 4;
  static constexpr std::chrono::seconds kIdle{10};
  static constexpr std::chrono::seconds kLimit{10};  // of one question

  AdminPool(boost::asio::any_io_executor executor, std::shared_ptr<const ServerAddress> address,
            LoginSource login);

  /// What a connection knows of its server.
  struct Facts {
    int version = 0;  // server_version_num
    bool superuser = false;
    Nanos ahead = 0;  // of the server's clock before ours
  };
  struct Connection {
    Server server;
    Facts facts;
    std::chrono::steady_clock::time_point idle_since;
  };
  /// Goes back to the pool when it dies, unless it broke.
  class Borrowed {
   public:
    Borrowed(std::shared_ptr<AdminPool> pool, Connection connection)
        : pool_(std::move(pool)), connection_(std::move(connection)) {}
    Borrowed(Borrowed&&) = default;
    Borrowed& operator=(Borrowed&&) = delete;
    ~Borrowed() {
      if (pool_) pool_->Return(std::move(connection_));
    }
    const Facts& facts() const { return connection_.facts; }
    Task<std::vector<Row>> Ask(std::string sql) {
      return Query(connection_.server, std::move(sql), kLimit);
    }

   private:
    std::shared_ptr<AdminPool> pool_;
    Connection connection_;
  };

  /// One that is idle, or a new one; waits while kMost are in use. upstream_unreachable,
  /// upstream_timeout, upstream_protocol, upstream_login_failed.
  Task<Borrowed> Take();

 private:
  Task<Connection> Open();
  void Return(Connection connection);
  static boost::asio::awaitable<void> CloseIdle(std::weak_ptr<AdminPool> weak);

  boost::asio::any_io_executor executor_;
  std::shared_ptr<const ServerAddress> address_;
  LoginSource login_;
  std::vector<Connection> idle_;
  size_t open_ = 0;
  bool closing_ = false;  // CloseIdle runs
  net::Event freed_;
};

}  // namespace sallyport::pg
