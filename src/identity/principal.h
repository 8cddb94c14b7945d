#pragma once

#include <string_view>
#include <vector>

#include "base/result.h"
#include "identity/claims.h"
#include "identity/config.h"
#include "identity/verified_token.h"
#include "json/document.h"

namespace sallyport::identity {

/// Whether a name or subject has the form ISSUER|SUBJECT, by which rules name an account: nobody
/// may be called what another account is named by (a name is what its owner writes into a
/// provider).
bool LooksLikeAccount(std::string_view text);

/// Who the checked claims speak for. The name is for display only: the claim `claims.user` if it is
/// a short text, else preferred_username, else the subject. At most one agent may match. A
/// ci-workload token speaks for nobody unless an agent with an owner is configured for it:
/// token_type_wrong.
Result<VerifiedToken> MakeVerified(json::Value claims, const CheckedClaims& checked,
                                   const ProviderConfig& provider,
                                   const std::vector<AgentConfig>& agents);

}  // namespace sallyport::identity
