#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/task.h"
#include "op/session.h"
#include "pg/server.h"

namespace sallyport::pg {

/// What a session may need of the database, from the rules that let its caller through.
struct Grant {
  std::string relation;                 // "schema.name", or a glob "schema.*"
  std::vector<std::string> privileges;  // SELECT INSERT UPDATE DELETE
  std::vector<std::string> columns;     // empty: all
};

/// Where a login comes from that is looked up for each new connection: its password may have been
/// rotated, or is made for this one connection. Runs on any shard. upstream_credential_failed: none
/// is to be had.
using LoginSource = std::function<Task<ServerLogin>()>;

/// The same login always.
LoginSource FixedLogin(std::string user, Secret password);

/// A login for one session. Release() (or the reaper, after a crash) takes it back.
class Lease {
 public:
  virtual ~Lease() = default;
  virtual const ServerLogin& login() const = 0;
  /// Ends what the session left (backends of the role), drops the role. Callable once, outlives the
  /// session: it runs on its own.
  virtual void Release() = 0;
  /// `f` is called once, on any thread, if the login ends before the session: the session has to
  /// end then. Not after Release().
  virtual void OnLost(std::function<void()> f) { (void)f; }
};

/// Where sessions get their database credential from: a static one, or a role made for the session.
class Credentials {
 public:
  virtual ~Credentials() = default;
  /// `until`: the end of the session at most. upstream_login_failed, upstream_unreachable.
  virtual Task<std::unique_ptr<Lease>> Borrow(const op::Session& session, std::vector<Grant> grants,
                                              Nanos until) = 0;
  /// An administrator's login for catalog reading, cancelling and terminating; for one connection.
  virtual Task<ServerLogin> Admin() = 0;
  /// Drops roles that earlier processes left behind; at start, on the first shard. Returns after a
  /// first pass; goes on about once a minute on that shard, for what could not be dropped at once.
  virtual boost::asio::awaitable<void> Sweep() = 0;
  /// Gives back what is kept for the gate itself; Admin() fails from here on. At the end.
  virtual void Close() {}
  /// Roles that exist for sessions, also for those that have ended and are being cleaned up. Any
  /// thread. A process that ends waits for zero, for some seconds at most.
  virtual size_t leases() const { return 0; }
};

/// One login for all sessions, and for the gate's own connections.
std::shared_ptr<Credentials> MakeSharedCredentials(LoginSource login);

struct JitRoleOptions {
  LoginSource admin;
  std::chrono::seconds ttl{15 * 60};
  std::string gateway;  // part of the role's name: sweeps touch their own only
};
/// Roles "sallyport_<gateway>_<random>": LOGIN, CONNECTION LIMIT, VALID UNTIL (the end of the
/// session or of `ttl`, whichever comes first; it ends logging in, not the session), a SCRAM
/// verifier of one iteration over 192 random bits, and the grants and nothing more. Sessions with
/// the same grants inherit them from one role without login, "sallyport_<gateway>_…g_<digest>",
/// that is made for the first and dropped about a second after the last: an ACL per session would
/// make every session rewrite the catalog's rows of all its tables, and PostgreSQL refuses more
/// than some 600 entries.
///
/// The administrator needs CREATEROLE, and the right to grant (as the owner of the tables, or WITH
/// GRANT OPTION). What a session created and left is given to the administrator (REASSIGN OWNED).
/// Thread-safe; each shard has a few administrator's connections of its own.
std::shared_ptr<Credentials> MakeJitRoleCredentials(std::shared_ptr<const ServerAddress> address,
                                                    JitRoleOptions options);

}  // namespace sallyport::pg
