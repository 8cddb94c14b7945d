#include "obs/log.h"
#include "pg/jit_role.h"

namespace sallyport::pg {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kAttempts = 6;                           // of dropping one role, before sweeps do
constexpr std::chrono::milliseconds kFirstRetry{100};  // doubled four times over each time
constexpr std::chrono::seconds kBackendExit{3};        // of a backend that was told to end
constexpr std::chrono::seconds kGroupLinger{1};
constexpr std::chrono::milliseconds kSweepEvery{60'000};
constexpr std::chrono::milliseconds kSecondLook{2'000};  // more than a login takes
constexpr std::string_view kDependentObjects = "2BP01";

void LogFailed(std::string_view event, const std::string& role, const Error& error) {
  obs::Log(obs::Level::warn, event,
           {{"role", role}, {"reason", ReasonCode(error.code)}, {"detail", error.detail}});
}

}  // namespace

boost::asio::awaitable<void> JitRoles::TakeBack(std::shared_ptr<JitRoles> self, std::string role,
                                                std::string group, bool made) {
  std::chrono::milliseconds wait = kFirstRetry;
  for (int attempt = 1; made; ++attempt) {
    const auto dropped = co_await self->DropRole(role);
    if (dropped) break;
    LogFailed("pg.role_not_dropped", role, dropped.error());
    if (attempt == kAttempts) break;
    (void)co_await net::Sleep(wait);
    wait *= 4;
  }
  if (self->Leave(role, group)) co_await self->DropGroupSoon(group);
}

/// Ends what runs under the role, waits until it has ended, and drops it.
Task<> JitRoles::DropRole(const std::string& role) {
  const auto pool = PoolOf(co_await net::ThisExecutor());
  SALLYPORT_CO_TRY(auto admin, co_await pool->Take());
  const auto give_up = Clock::now() + kBackendExit;
  for (std::chrono::milliseconds wait{2};; wait *= 2) {
    SALLYPORT_CO_TRY(const auto ended,
                     co_await admin.Ask("SELECT count(pg_catalog.pg_terminate_backend(pid))"
                                        " FROM pg_catalog.pg_stat_activity WHERE usename = " +
                                        QuoteLiteral(role)));
    if (ended.size() != 1 || ended[0].size() != 1 || ended[0][0] == "0") break;
    if (Clock::now() > give_up)
      co_return Fail(Errc::upstream_timeout, "a backend of the role does not end");
    (void)co_await net::Sleep(wait);
  }
  const std::string name = QuoteIdentifier(role);
  const auto dropped = co_await admin.Ask("DROP ROLE IF EXISTS " + name);
  if (dropped) co_return Result<>();
  if (!dropped.error().detail.starts_with(kDependentObjects))
    co_return std::unexpected(dropped.error());
  // It created something. That is kept; what it was granted beside its group goes.
  const std::string join = admin.facts().superuser ? "" : "GRANT " + name + " TO CURRENT_USER; ";
  SALLYPORT_CO_CHECK(co_await admin.Ask(join + "REASSIGN OWNED BY " + name +
                                        " TO CURRENT_USER; DROP OWNED BY " + name +
                                        "; DROP ROLE IF EXISTS " + name));
  obs::Log(obs::Level::info, "pg.role_owned_objects", {{"role", role}});
  co_return Result<>();
}

boost::asio::awaitable<void> JitRoles::DropGroupSoon(std::string group) {
  (void)co_await net::Sleep(kGroupLinger);
  {
    const std::lock_guard lock(mutex_);
    const auto known = groups_.find(group);
    if (known == groups_.end() || known->second.leases > 0 || known->second.making) co_return;
    groups_.erase(known);
  }
  if (const auto dropped = co_await DropGroup(group); !dropped)
    LogFailed("pg.group_not_dropped", group, dropped.error());
}

/// Drops a group that has no members. Members come under the lock that is taken here alone, so none
/// can come in between; who finds the group gone makes it again.
Task<> JitRoles::DropGroup(const std::string& group) {
  const auto pool = PoolOf(co_await net::ThisExecutor());
  SALLYPORT_CO_TRY(auto admin, co_await pool->Take());
  const std::string literal = QuoteLiteral(group), name = QuoteIdentifier(group);
  const std::string join = admin.facts().superuser ? "" : "GRANT " + name + " TO CURRENT_USER;";
  const auto dropped = co_await admin.Ask(
      "SELECT pg_catalog.pg_advisory_xact_lock(" + names_.LockKey() + ");\nDO " +
      QuoteLiteral("BEGIN IF EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = " + literal +
                   ") AND NOT EXISTS (SELECT FROM pg_catalog.pg_auth_members m"
                   " JOIN pg_catalog.pg_roles r ON r.oid = m.roleid WHERE r.rolname = " +
                   literal +
                   " AND m.member <> (SELECT oid FROM pg_catalog.pg_roles"
                   "  WHERE rolname = current_user)) THEN " +
                   join + " DROP OWNED BY " + name + "; DROP ROLE " + name + "; END IF; END"));
  if (!dropped) co_return std::unexpected(dropped.error());
  co_return Result<>();
}

/// The roles of this gateway that nobody uses, as far as the database can tell, and whether their
/// time is over. Groups: those without members.
Task<std::vector<Row>> JitRoles::Unused(bool groups) {
  const auto pool = PoolOf(co_await net::ThisExecutor());
  SALLYPORT_CO_TRY(auto admin, co_await pool->Take());
  co_return co_await admin.Ask(
      "SELECT r.rolname, coalesce(r.rolvaliduntil < pg_catalog.now(), false)::int"
      " FROM pg_catalog.pg_roles r WHERE r.rolcanlogin = " +
      std::string(groups ? "false" : "true") + " AND r.rolname LIKE " + names_.Pattern() +
      " AND NOT EXISTS (SELECT FROM pg_catalog.pg_stat_activity a WHERE a.usesysid = r.oid)"
      " AND NOT EXISTS (SELECT FROM pg_catalog.pg_auth_members m WHERE m.roleid = r.oid"
      "  AND m.member <> (SELECT oid FROM pg_catalog.pg_roles WHERE rolname = current_user))");
}

bool JitRoles::IsOurs(const std::string& role) const {
  const std::lock_guard lock(mutex_);
  return roles_.contains(role) || groups_.contains(role);
}

/// Roles of sessions that are not connected: those whose time is over are dropped at once, others
/// when they were not connected at the pass before either, as another gateway of the same name may
/// be about to log in with one. Then the groups that have no members left.
Task<> JitRoles::SweepOnce(std::set<std::string>& seen) {
  std::set<std::string> idle;
  for (const bool groups : {false, true}) {
    SALLYPORT_CO_TRY(const auto rows, co_await Unused(groups));
    for (const Row& row : rows) {
      if (row.size() != 2 || !row[0] || !row[1] || IsOurs(*row[0])) continue;
      const std::string& role = *row[0];
      if (!groups && !seen.contains(role) && *row[1] != "1") {
        idle.insert(role);
        continue;
      }
      const auto dropped = groups ? co_await DropGroup(role) : co_await DropRole(role);
      if (dropped) {
        obs::Log(obs::Level::info, "pg.role_swept", {{"role", role}});
      } else {
        LogFailed("pg.role_not_dropped", role, dropped.error());
      }
    }
  }
  seen = std::move(idle);
  co_return Result<>();
}

boost::asio::awaitable<void> JitRoles::Sweep() {
  std::set<std::string> seen;
  if (const auto swept = co_await SweepOnce(seen); !swept)
    LogFailed("pg.sweep_failed", options_.gateway, swept.error());
  net::Spawn(co_await net::ThisExecutor(), KeepSweeping(weak_from_this(), std::move(seen)));
}

boost::asio::awaitable<void> JitRoles::KeepSweeping(std::weak_ptr<JitRoles> weak,
                                                    std::set<std::string> seen) {
  for (;;) {
    if (!co_await net::Sleep(seen.empty() ? kSweepEvery : kSecondLook)) co_return;
    const auto self = weak.lock();
    if (!self) co_return;
    if (const auto swept = co_await self->SweepOnce(seen); !swept)
      LogFailed("pg.sweep_failed", self->options_.gateway, swept.error());
  }
}

}  // namespace sallyport::pg
