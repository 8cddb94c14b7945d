#pragma once

#include "base/clock.h"
#include "credential/config.h"
#include "credential/credential.h"
#include "credential/gate_jwt.h"

namespace sallyport::credential {

/// The header with which Snowflake's REST endpoints are told what kind of token Authorization has.
inline constexpr std::string_view kSnowflakeTokenType = "X-Snowflake-Authorization-Token-Type";

/// A token of the gate's own in the form of Snowflake's External OAuth with a custom authorization
/// server: `aud` is the account's URL, `scp` "session:role:<ROLE>", and `sub` or `name` the user's
/// LOGIN_NAME. One per caller, session and role. upstream_credential_failed: the caller is not of
/// the provider whose people log in there, has no name, or no role; or their groups are not all
/// known and could give them another one. `clock` must outlive it.
CredentialPtr MakeSnowflakeOAuth(const std::string& connection, SnowflakeOAuth config,
                                 GateIssuer issuer, const Clock& clock);

/// The role in which `who` is let in; errors as above.
Result<std::string> SnowflakeRole(const SnowflakeOAuth& config, const op::Principal& who);

}  // namespace sallyport::credential
