#pragma once

#include "base/clock.h"
#include "credential/config.h"
#include "credential/credential.h"
#include "credential/fetch_seam.h"
#include "credential/gate_jwt.h"

namespace sallyport::credential {

/// Signs each request with AWS Signature Version 4. The body is signed as it is sent, so after
/// everything that changes it; Host, Content-Type and the Mcp- and X-Amz- fields are signed, what
/// proxies change is not.
///
/// A refusal whose Date is more than 4 minutes off ours moves our idea of AWS's clock, and one that
/// says that the key has expired fetches a new one; the request is then signed and sent once more.
/// The key is one for all callers, or with `names_caller` one for each caller and session.
/// `clock` must outlive it.
CredentialPtr MakeSigV4(const std::string& connection, SigV4 config, GateIssuer issuer, Fetch fetch,
                        const Clock& clock);

}  // namespace sallyport::credential
