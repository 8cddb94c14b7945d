#pragma once

#include "identity/config.h"
#include "identity/fetch_seam.h"
#include "identity/inquiry.h"
#include "identity/introspection.h"

namespace sallyport::identity {

/// Asks the API server of `provider`'s cluster whether a service account's token is still good:
/// its pod, account and secret exist (authentication.k8s.io/v1 TokenReview). The answer is the name
/// of the account as the cluster calls it. token_inactive: it says no, or not for our audience;
/// identity_provider_down: it could not be asked. Details hold nothing of the token or the answer.
Inquiry::Ask MakeTokenReview(const ProviderConfig& provider, Fetch fetch, ResolveSecret resolve);

}  // namespace sallyport::identity
