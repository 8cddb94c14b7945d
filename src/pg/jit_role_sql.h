#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "pg/credentials.h"

// The texts that make and take back just-in-time roles; pure, internal to jit_role*.cc.

namespace sallyport::pg {

/// `name` as an SQL identifier, always in quotes. A NUL, which no identifier can hold, is left out.
std::string QuoteIdentifier(std::string_view name);

/// `text` as an SQL string literal that means the same whatever standard_conforming_strings is:
/// with backslashes as E'…'. NULs are left out, bytes that are not UTF-8 become '?'.
std::string QuoteLiteral(std::string_view text);

/// The names of the roles of one gateway in one database. They never overlap with those of another
/// gateway: the part that names it holds no underscore, and carries a digest where it had to be
/// changed or cut.
class RoleNames {
 public:
  RoleNames(std::string_view gateway, std::string_view database);
  /// "sallyport_<gateway>_<database tag><random>"; 63 bytes at most.
  std::string NewSession() const;
  /// The role that holds a set of grants, "sallyport_<gateway>_<database tag>g_<digest>".
  std::string GroupOf(const std::vector<Grant>& grants) const;
  /// Whether `role` is one of ours, a group or a session's.
  bool IsGroup(std::string_view role) const;
  /// A LIKE pattern, as a literal, that matches all of them.
  std::string Pattern() const;
  /// Two numbers for advisory locks of this gateway.
  std::string LockKey() const;

 private:
  std::string prefix_;
};

/// A relation that exists and that a grant means.
struct GrantTarget {
  size_t grant = 0;  // index into the grants
  std::string schema, name, oid;
  std::vector<std::string> sequences;  // quoted, of its columns' defaults
};

/// A query for the targets of `grants`: rows (grant, schema, name, oid, sequences joined by
/// commas). Globs ("*", "?") mean tables, views, materialised views and foreign tables outside the
/// system's own schemas. upstream_protocol never; internal for a grant that is not "schema.name".
Result<std::string> TargetsSql(const std::vector<Grant>& grants);

/// The GRANT statements for `targets`. internal for a privilege that no session may have.
Result<std::string> GrantSql(const std::string& group, const std::vector<Grant>& grants,
                             const std::vector<GrantTarget>& targets);

struct NewRole {
  std::string name, group;  // group may be empty
  std::string verifier;
  Nanos valid_until = 0;
  std::string comment;
  int server_version = 0;          // server_version_num
  bool admin_is_superuser = true;  // else the administrator has to be a member to end sessions
};
std::string CreateRoleSql(const NewRole& role, const std::string& lock_key);

/// For people who look at the role in the database.
std::string RoleComment(const op::Session& session);

}  // namespace sallyport::pg
