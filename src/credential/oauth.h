#pragma once

#include "base/clock.h"
#include "credential/config.h"
#include "credential/credential.h"
#include "credential/fetch_seam.h"
#include "credential/gate_jwt.h"

namespace sallyport::credential {

/// The token of an OAuth server for the gate itself (RFC 6749 section 4.4), one for all callers:
/// `Authorization: Bearer`. Renewed before its end, by one request however many callers wait. A 401
/// of the upstream fetches another one, once, unless it is younger than Renewal::kTrust. `issuer`
/// signs for clients without a key of their own. `clock` must outlive it.
CredentialPtr MakeOAuth(const std::string& connection, OAuth config, GateIssuer issuer, Fetch fetch,
                        const Clock& clock);

/// One answer of the token endpoint to `grant`, the form up to scope and resource; how our client
/// proves itself is added: its secret, or an assertion (RFC 7523 section 2.2) for a minute. As
/// ObtainToken; an issued_token_type (RFC 8693) has to be an access token or a JWT.
Result<Material> RequestToken(const OAuth& config, std::string grant, const Fetch& fetch,
                              const Clock& clock, std::stop_token stop,
                              const GateIssuer& issuer = {});

/// One token by client credentials; may block for three requests (metadata in both places, token).
/// upstream_credential_failed, with the server's error code if it is one of RFC 6749 section 5.2.
Result<Material> ObtainToken(const OAuth& config, const Fetch& fetch, const Clock& clock,
                             std::stop_token stop, const GateIssuer& issuer = {});

}  // namespace sallyport::credential
