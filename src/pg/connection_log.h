#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"

namespace sallyport::pg {

/// A session that a PostgreSQL server's own log tells of.
struct LoggedConnection {
  uint64_t line = 0;        // of the log, from 1
  std::optional<Nanos> at;  // nullopt: the line's time is not in UTC, or not to be read
  uint32_t pid = 0;         // 0: the line does not say
  std::string host,
      port;  // as logged; empty: no "connection received" before it; port of a socket: ""
  std::string user, database, application;
  bool replication = false;
};

/// Reads what `log_connections` makes a server write (https://www.postgresql.org/docs/current/
/// runtime-config-logging.html): "connection received" and "connection authorized", in English, in
/// the standard text form with the process id in brackets somewhere in log_line_prefix ("%m [%p] ",
/// "%t [%p]: …", "%t:%r:%u@%d:[%p]:"), or as jsonlog, one object a line. Total: what is neither is
/// skipped.
class ConnectionLog {
 public:
  /// One line without its end. The session that it says has been let in, if it says that.
  std::optional<LoggedConnection> Take(std::string_view line);

  uint64_t lines() const { return lines_; }
  /// Sessions that were let in.
  uint64_t authorized() const { return authorized_; }

 private:
  struct From {
    std::string host, port;
  };
  uint64_t lines_ = 0, authorized_ = 0;
  std::map<uint32_t, From> received_;  // by process id
};

}  // namespace sallyport::pg
