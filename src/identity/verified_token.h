#pragma once

#include <algorithm>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "access/live.h"
#include "base/clock.h"
#include "op/session.h"

namespace sallyport::identity {

/// A token that passed every check when it was judged; TokenVerifier::Holds says whether it is
/// still good. Immutable and shared: the cache and all sessions of the caller
/// hold the same object.
struct VerifiedToken {
  op::Principal principal;
  Nanos issued_at = 0;
  Nanos skew = 0;                   // that the issuer's clock is granted
  Nanos expires_at = 0;             // `exp` without skew
  std::string token_id;             // `jti`, or empty
  std::vector<std::string> scopes;  // `scope` or `scp`
  /// What the holder has to prove beside having it (RFC 7800 `cnf`); both empty: nothing.
  std::string bound_key;               // jkt: RFC 7638 thumbprint of the key of DPoP proofs
  std::string bound_certificate;       // x5t#S256: of the client's certificate of the connection
  bool whole_gateway = false;          // `aud` names the gateway itself
  std::vector<std::string> resources;  // single resources of ours that `aud` names
  std::string below;                   // all resources that begin so; empty: none
  access::LivePtr live;                // of a session token; null for a provider's own
  std::string groups_note;             // why the groups are incomplete; empty if they are complete

  /// Whether the token is meant for this resource of ours.
  bool Covers(std::string_view resource) const {
    return whole_gateway || std::ranges::find(resources, resource) != resources.end() ||
           (!below.empty() && resource.starts_with(below));
  }
};
using VerifiedPtr = std::shared_ptr<const VerifiedToken>;

}  // namespace sallyport::identity
