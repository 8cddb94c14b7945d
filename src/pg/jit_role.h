#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "pg/credentials.h"
#include "pg/jit_role_admin.h"
#include "pg/jit_role_sql.h"

// The two halves of just-in-time roles, internal to jit_role*.cc: making them (jit_role.cc) and
// taking them back (jit_role_release.cc).

namespace sallyport::pg {

class JitRoles final : public Credentials, public std::enable_shared_from_this<JitRoles> {
 public:
  JitRoles(std::shared_ptr<const ServerAddress> address, JitRoleOptions options);

  Task<std::unique_ptr<Lease>> Borrow(const op::Session& session, std::vector<Grant> grants,
                                      Nanos until) override;
  Task<ServerLogin> Admin() override;
  boost::asio::awaitable<void> Sweep() override;
  size_t leases() const override;

  /// Drops the role of a lease if it was made, and its group when nobody has used it for a while.
  /// Errors are logged; what is left then is swept later.
  static boost::asio::awaitable<void> TakeBack(std::shared_ptr<JitRoles> self, std::string role,
                                               std::string group, bool made);

 private:
  /// What this process knows of a group; the truth is in the database.
  struct Group {
    size_t leases = 0;
    bool making = false;
    std::chrono::steady_clock::time_point checked{};  // that it holds the grants
    std::string fingerprint;                          // of the relations it was last given
  };

  static Task<ServerLogin> AdminOf(std::shared_ptr<JitRoles> self);
  std::shared_ptr<AdminPool> PoolOf(const boost::asio::any_io_executor& executor);
  Task<> PrepareGroup(AdminPool::Borrowed& admin, const std::string& group,
                      const std::vector<Grant>& grants);
  Task<> MakeGroup(AdminPool::Borrowed& admin, const std::string& group,
                   const std::vector<Grant>& grants);
  Task<> CreateRole(AdminPool::Borrowed& admin, const NewRole& role,
                    const std::vector<Grant>& grants);
  void Enter(const std::string& role, const std::string& group);
  /// True if nobody uses the group any more.
  bool Leave(const std::string& role, const std::string& group);

  Task<> DropRole(const std::string& role);
  Task<> DropGroup(const std::string& group);
  boost::asio::awaitable<void> DropGroupSoon(std::string group);
  Task<std::vector<Row>> Unused(bool groups);
  bool IsOurs(const std::string& role) const;
  Task<> SweepOnce(std::set<std::string>& seen);
  static boost::asio::awaitable<void> KeepSweeping(std::weak_ptr<JitRoles> weak,
                                                   std::set<std::string> seen);

  const std::shared_ptr<const ServerAddress> address_;
  const JitRoleOptions options_;
  const RoleNames names_;

  mutable std::mutex mutex_;  // never held across an await
  std::map<boost::asio::execution_context*, std::shared_ptr<AdminPool>> pools_;
  std::map<std::string, Group> groups_;
  std::set<std::string> roles_;  // ours: being made, in use, being dropped
};

}  // namespace sallyport::pg
