#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "base/network.h"
#include "base/task.h"
#include "pg/own_backends.h"
#include "pg/server.h"

namespace sallyport::pg {

/// A session at a database that did not come through this process.
struct Foreign {
  uint32_t pid = 0;
  uint16_t port = 0;                       // of its client; 0: a Unix socket, or not to be told
  std::string user, address, application;  // as the server says; address empty: a Unix socket
  std::string kind;                        // "client backend", "walsender"
  std::string since;                       // of the backend, UTC

  /// Of one backend for its whole life, and of no other.
  std::string id() const { return std::to_string(pid) + "@" + since; }
};

/// Who else is at the database that `server` is logged in to: its own list of sessions
/// (pg_stat_activity, PostgreSQL 10 and later) without what `own` knows and without what comes from
/// `expected`; never a statement. Also who copies the whole server (walsender). Background workers
/// of the server itself are nobody.
///
/// A login that may not see whose the sessions are is an error (upstream_login_failed), never an
/// empty list: it has to be a member of pg_monitor or pg_read_all_stats. Where only a process id
/// tells sessions apart (Unix sockets, translated addresses), what could be one that is just
/// logging in is looked at again a second later.
Task<std::vector<Foreign>> LookForOthers(Server& server, const OwnBackends& own,
                                         const std::vector<IpNetwork>& expected);

}  // namespace sallyport::pg
