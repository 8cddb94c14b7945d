#pragma once

#include <string>

#include "credential/aws_keys.h"
#include "credential/gate_jwt.h"
#include "op/session.h"

namespace sallyport::credential {

/// How a caller is called at AWS (AWS STS API Reference, AssumeRoleWithWebIdentity; IAM User Guide,
/// "Pass session tags in AWS STS"). `session` and `source` are 2 to 64 of the characters that AWS
/// takes there, `person` at most 256.
struct AwsName {
  /// RoleSessionName, which stands in every ARN of the session: the readable name, cut and freed of
  /// other characters, a comma, and a digest of who it is. Names can be chosen; the digest makes
  /// that no two callers share one.
  std::string session;
  /// Source identity: "<provider>,<subject>" with other characters as =XX, so that it reads back to
  /// one account only; what is too long is cut, with '+' and a digest.
  std::string source;
  std::string person;  // of the tag: the same with a colon, which source identities have not
};
AwsName NameAtAws(const op::Principal& who);

/// The claims from which STS takes tags and source identity: members for ClaimsFor::more. The tags
/// `sallyport:person`, `sallyport:agent` and `sallyport:session` are transitive: they outlive a
/// change of roles.
std::string ClaimsForAws(const op::Principal& who, const AwsName& name);

/// A key that is `who`'s alone, got for a token of the gate's own that lives 5 minutes. Blocks.
/// Errors as ObtainAwsKey.
Result<Material> ObtainAwsKeyFor(const op::Principal& who, const AwsKeys& keys,
                                 const std::string& region, const GateIssuer& issuer,
                                 const Fetch& fetch, const Clock& clock, std::stop_token stop);

}  // namespace sallyport::credential
