#pragma once

#include <vector>

#include "base/result.h"
#include "identity/claims.h"
#include "identity/config.h"
#include "identity/verified_token.h"
#include "json/document.h"

namespace sallyport::identity {

/// Who the checked claims speak for. The name is for display only: the claim `claims.user` if it is
/// a short text, else preferred_username, else the subject. At most one agent may match. A
/// ci-workload token speaks for nobody unless an agent with an owner is configured for it:
/// token_type_wrong.
Result<VerifiedToken> MakeVerified(json::Value claims, const CheckedClaims& checked,
                                   const ProviderConfig& provider,
                                   const std::vector<AgentConfig>& agents);

}  // namespace sallyport::identity
