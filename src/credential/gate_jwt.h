#pragma once

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

/// What a token that stands for a caller depends on: never the same for two of them. The parts come
/// from tokens and may hold anything but line breaks, which the verifier refuses.
std::string CallerKey(const op::Principal& who);

/// A short-lived token that names the caller as `Authorization: Bearer`. One token per caller, used
/// again in the first half of its life and never for another one. `clock` must outlive it.
CredentialPtr MakeGateJwt(GateJwt config, GateIssuer issuer, const Clock& clock);

}  // namespace sallyport::credential
