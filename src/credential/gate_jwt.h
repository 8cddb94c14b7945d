#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "credential/config.h"
#include "credential/credential.h"
#include "credential/issuer_keys.h"

namespace sallyport::credential {

/// The gate as an OpenID Connect issuer for upstreams.
struct GateIssuer {
  std::string url;                         // public_url: the `iss`
  std::shared_ptr<const IssuerKeys> keys;  // null: no upstream wants its tokens
};

/// What a token says about a caller; a JSON object:
///  * `sub` is "<provider>:<subject>", unique at this issuer; `idp` has the provider's own `iss`
///    and `sub`, `name` the name for people.
///  * `act` (RFC 8693 section 4.1) is who acts for them: {"sub":"agent:<name>"} for a configured
///    agent, {"sub":"client:<client id>"} for other software of theirs.
std::string ClaimsOf(const op::Principal& who, std::string_view issuer, const GateJwt& config,
                     Nanos now);

/// What a particular relying party wants otherwise.
struct ClaimsFor {
  std::optional<std::string> sub, name;
  std::string more;  // further members: "" or ",\"scp\":…"
};
std::string ClaimsOf(const op::Principal& who, std::string_view issuer, const GateJwt& config,
                     Nanos now, const ClaimsFor& party);

/// `claims` signed by the gate. May take as long as the keys' home takes.
/// upstream_credential_failed.
Result<std::string> SignAs(const GateIssuer& issuer, std::string_view claims);

/// Names the caller as `Authorization: Bearer`. One token per caller and session, renewed after
/// half its life. `clock` must outlive it.
CredentialPtr MakeGateJwt(const std::string& connection, GateJwt config, GateIssuer issuer,
                          const Clock& clock);

/// A token of the gate's own as a Wallet keeps it.
Material KeepToken(std::string token, std::chrono::seconds life, Nanos now);

}  // namespace sallyport::credential
