#pragma once

#include "base/clock.h"
#include "credential/config.h"
#include "credential/credential.h"
#include "credential/fetch_seam.h"
#include "credential/gate_jwt.h"

namespace sallyport::credential {

/// A token for the upstream that stands for the caller (RFC 8693): a token of the gate's own that
/// names the caller is shown to the authorization server, and what that gives in return is shown to
/// the upstream as `Authorization: Bearer`. The caller's own token is shown to neither.
///
/// One token per caller and session, kept until shortly before its end, and dropped when the
/// session or the caller's access ends. A server that refuses one caller does not keep others
/// waiting. `clock` must outlive it.
CredentialPtr MakeExchange(const std::string& connection, Exchange config, GateIssuer issuer,
                           Fetch fetch, const Clock& clock);

}  // namespace sallyport::credential
