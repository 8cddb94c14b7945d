#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "pg/startup.h"

namespace sallyport::pg {

/// Who may cancel which session. A client gets the process id of its real backend, as drivers
/// compare it with pg_backend_pid() and with notifications, and a secret of our own: the server's
/// key stays here, so a CancelRequest has to pass this gate.
///
/// Thread-safe; a cancel comes on a connection of its own, most often on another shard.
class CancelKeys {
 public:
  CancelKeys();
  ~CancelKeys();
  CancelKeys(const CancelKeys&) = delete;

  /// The key of one session; taken back when it dies, on the session's shard.
  class Ticket {
   public:
    virtual ~Ticket() = default;
    /// What BackendKeyData holds: 4 random bytes under protocol 3.0, 32 under 3.2.
    virtual const std::string& key() const = 0;
  };

  /// On the session's shard, whose executor it is. `cancel` runs there, never after the ticket is
  /// gone. Two servers may have backends of the same `pid`.
  std::unique_ptr<Ticket> Issue(uint32_t pid, uint32_t minor, boost::asio::any_io_executor executor,
                                std::function<void()> cancel);

  /// Posts the session's function if the key is right; a wrong one is counted
  /// (sallyport_postgres_cancel_requests_total) and otherwise ignored, as the protocol wants it.
  /// The time that this takes says nothing about a key: those of one `pid` are all compared, each
  /// in constant time.
  bool Cancel(const CancelRequest& request);

  size_t size() const;

 private:
  struct State;
  const std::shared_ptr<State> state_;
};

}  // namespace sallyport::pg
