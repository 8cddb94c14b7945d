#include "pg/jit_role.h"

#include <algorithm>
#include <boost/asio/execution/context.hpp>
#include <boost/asio/query.hpp>

#include "base/ids.h"
#include "pg/scram.h"

namespace sallyport::pg {
namespace {

using Clock = std::chrono::steady_clock;

/// A table may be dropped and made anew under its name; then the group needs its grants again.
constexpr std::chrono::seconds kCheckGroup{60};
constexpr std::chrono::milliseconds kPoll{2};
constexpr size_t kPasswordBytes = 24;  // 192 bits
constexpr size_t kSaltBytes = 16;
constexpr std::string_view kUndefinedObject = "42704";
constexpr std::string_view kDuplicateObject = "42710";
constexpr std::string_view kConcurrently = "XX000";  // "tuple concurrently updated"

bool Says(const Error& error, std::string_view sqlstate) {
  return error.code == Errc::upstream_protocol && error.detail.starts_with(sqlstate);
}

/// The server has said no, so nothing of what was asked has happened.
bool IsRefusal(const Error& error) {
  return error.code == Errc::upstream_protocol && error.detail.size() > 5 &&
         error.detail[5] == ':' && std::ranges::all_of(error.detail.substr(0, 5), [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z');
         });
}

/// A login that ends with its session.
class JitLease final : public Lease {
 public:
  JitLease(std::shared_ptr<JitRoles> roles, boost::asio::any_io_executor executor,
           ServerLogin login, std::string group)
      : roles_(std::move(roles)),
        executor_(std::move(executor)),
        login_(std::move(login)),
        group_(std::move(group)) {}
  ~JitLease() override { End(true); }

  const ServerLogin& login() const override { return login_; }
  void Release() override { End(true); }
  /// `made`: there may be a role.
  void End(bool made) {
    if (auto roles = std::exchange(roles_, nullptr))
      net::Spawn(executor_, JitRoles::TakeBack(std::move(roles), login_.user, group_, made));
  }

 private:
  std::shared_ptr<JitRoles> roles_;
  boost::asio::any_io_executor executor_;
  ServerLogin login_;
  std::string group_;
};

std::vector<GrantTarget> ReadTargets(const std::vector<Row>& rows, size_t grants) {
  std::vector<GrantTarget> targets;
  for (const Row& row : rows) {
    if (row.size() != 5 || !row[0] || !row[1] || !row[2] || !row[3]) continue;
    GrantTarget target;
    target.grant = static_cast<size_t>(std::atoll(row[0]->c_str()));
    if (target.grant >= grants) continue;
    target.schema = *row[1], target.name = *row[2], target.oid = *row[3];
    if (row[4]) target.sequences.push_back(*row[4]);  // quoted and joined by the server
    targets.push_back(std::move(target));
  }
  return targets;
}

}  // namespace

JitRoles::JitRoles(std::shared_ptr<const ServerAddress> address, JitRoleOptions options)
    : address_(std::move(address)),
      options_(std::move(options)),
      names_(options_.gateway, address_->database) {}

Task<ServerLogin> JitRoles::Admin() {
  SALLYPORT_CO_TRY(ServerLogin login, co_await options_.admin());
  login.startup.emplace_back("application_name", "sallyport");
  co_return login;
}

Task<ServerLogin> JitRoles::AdminOf(std::shared_ptr<JitRoles> self) {
  if (!self) co_return Fail(Errc::draining, "the roles' owner has ended");
  co_return co_await self->Admin();
}

size_t JitRoles::leases() const {
  const std::lock_guard lock(mutex_);
  return roles_.size() + groups_.size();
}

std::shared_ptr<AdminPool> JitRoles::PoolOf(const boost::asio::any_io_executor& executor) {
  auto& context = boost::asio::query(executor, boost::asio::execution::context);
  const std::lock_guard lock(mutex_);
  auto& pool = pools_[&context];
  if (!pool) {
    pool = std::make_shared<AdminPool>(executor, address_,
                                       [weak = weak_from_this()] { return AdminOf(weak.lock()); });
  }
  return pool;
}

void JitRoles::Enter(const std::string& role, const std::string& group) {
  const std::lock_guard lock(mutex_);
  roles_.insert(role);
  if (!group.empty()) ++groups_[group].leases;
}

bool JitRoles::Leave(const std::string& role, const std::string& group) {
  const std::lock_guard lock(mutex_);
  roles_.erase(role);
  return !group.empty() && --groups_[group].leases == 0;
}

Task<std::unique_ptr<Lease>> JitRoles::Borrow(const op::Session& session, std::vector<Grant> grants,
                                              Nanos until) {
  const auto self = shared_from_this();
  const auto executor = co_await net::ThisExecutor();
  const Nanos now = SystemClock().WallNow();
  if (until <= now) co_return Fail(Errc::session_ended, "no time is left for a database role");
  const std::string password = NewHandle(kPasswordBytes);
  NewRole role;
  role.name = names_.NewSession();
  role.group = names_.GroupOf(grants);
  role.verifier = ScramVerifier(password, NewHandle(kSaltBytes), 1);
  const Nanos ttl = std::chrono::nanoseconds(options_.ttl).count();
  role.valid_until = std::min(until, now + ttl);
  role.comment = RoleComment(session);

  SALLYPORT_CO_TRY(auto admin, co_await PoolOf(executor)->Take());
  role.valid_until += admin.facts().ahead;
  role.server_version = admin.facts().version;
  role.admin_is_superuser = admin.facts().superuser;
  // From here on the lease owns what there is of the role, also if it is not made in the end.
  Enter(role.name, role.group);
  auto lease = std::make_unique<JitLease>(
      self, executor, ServerLogin{.user = role.name, .password = Secret(password), .startup = {}},
      role.group);
  if (auto made = co_await CreateRole(admin, role, grants); !made) {
    lease->End(!IsRefusal(made.error()));
    co_return Fail(Errc::upstream_login_failed, "a role for the session: " + made.error().detail);
  }
  co_return lease;
}

Task<> JitRoles::CreateRole(AdminPool::Borrowed& admin, const NewRole& role,
                            const std::vector<Grant>& grants) {
  const std::string sql = CreateRoleSql(role, names_.LockKey());
  for (int attempt = 0;; ++attempt) {
    Result<> made;
    if (!role.group.empty()) made = co_await PrepareGroup(admin, role.group, grants);
    if (made) {
      auto created = co_await admin.Ask(sql);
      if (created) co_return Result<>();
      made = std::unexpected(std::move(created.error()));
    }
    // Somebody else has dropped the group since.
    if (!Says(made.error(), kUndefinedObject) || role.group.empty() || attempt == 2) co_return made;
    const std::lock_guard lock(mutex_);
    groups_[role.group].checked = {};
  }
}

/// Sees to it that the group exists and holds the grants; one at a time per group and process.
Task<> JitRoles::PrepareGroup(AdminPool::Borrowed& admin, const std::string& group,
                              const std::vector<Grant>& grants) {
  const auto give_up = Clock::now() + AdminPool::kLimit;
  for (;;) {
    {
      const std::lock_guard lock(mutex_);
      Group& known = groups_[group];
      if (known.checked != Clock::time_point{} && Clock::now() - known.checked < kCheckGroup)
        co_return Result<>();
      if (!known.making) {
        known.making = true;
        break;
      }
    }
    if (Clock::now() > give_up) co_return Fail(Errc::upstream_timeout, "a group role");
    (void)co_await net::Sleep(kPoll);
  }
  const auto began = Clock::now();
  auto made = co_await MakeGroup(admin, group, grants);
  if (!made && Says(made.error(), kConcurrently)) made = co_await MakeGroup(admin, group, grants);
  const std::lock_guard lock(mutex_);
  Group& known = groups_[group];
  known.making = false;
  if (made) known.checked = began;
  co_return made;
}

Task<> JitRoles::MakeGroup(AdminPool::Borrowed& admin, const std::string& group,
                           const std::vector<Grant>& grants) {
  SALLYPORT_CO_TRY(std::string sql, TargetsSql(grants));
  SALLYPORT_CO_TRY(const auto rows, co_await admin.Ask(std::move(sql)));
  const auto targets = ReadTargets(rows, grants.size());
  std::string fingerprint;
  for (const GrantTarget& target : targets)
    fingerprint += std::to_string(target.grant) + ":" + target.oid + " ";
  SALLYPORT_CO_TRY(const std::string grant_sql, GrantSql(group, grants, targets));

  SALLYPORT_CO_TRY(const auto exists,
                   co_await admin.Ask("SELECT 1 FROM pg_catalog.pg_roles WHERE rolname = " +
                                      QuoteLiteral(group)));
  {
    const std::lock_guard lock(mutex_);
    if (!exists.empty() && groups_[group].fingerprint == fingerprint) co_return Result<>();
  }
  sql = "SELECT pg_catalog.pg_advisory_xact_lock(" + names_.LockKey() + ");\n";
  const std::string create = "CREATE ROLE " + QuoteIdentifier(group) + " NOLOGIN;\n";
  auto done = co_await admin.Ask(sql + (exists.empty() ? create : "") + grant_sql);
  // Another gateway of the same name was faster.
  if (!done && exists.empty() && Says(done.error(), kDuplicateObject))
    done = co_await admin.Ask(sql + grant_sql);
  if (!done) co_return std::unexpected(std::move(done.error()));
  const std::lock_guard lock(mutex_);
  groups_[group].fingerprint = std::move(fingerprint);
  co_return Result<>();
}

std::shared_ptr<Credentials> MakeJitRoleCredentials(std::shared_ptr<const ServerAddress> address,
                                                    JitRoleOptions options) {
  return std::make_shared<JitRoles>(std::move(address), std::move(options));
}

}  // namespace sallyport::pg
