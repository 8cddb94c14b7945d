#pragma once

#include <functional>
#include <string_view>

#include "base/secret.h"
#include "identity/config.h"
#include "identity/fetch_seam.h"
#include "identity/inquiry.h"

namespace sallyport::identity {

/// Reads a secret now.
using ResolveSecret = std::function<Result<Secret>(const secrets::Ref&)>;

/// Asks `provider` by RFC 7662 with client_secret_basic. The answer is the JSON text of a token
/// that is active; token_inactive: it is not; identity_provider_down: it could not be asked, or did
/// not answer as the RFC says. Details hold nothing of the token or the answer.
Inquiry::Ask MakeIntrospection(const ProviderConfig& provider, Fetch fetch, ResolveSecret resolve);

/// Whether `token` can be an opaque token that is worth a question: RFC 6750 section 2.1, 8 to
/// 4,096 bytes, and neither a JWT nor broken.
bool IsOpaque(std::string_view token);

}  // namespace sallyport::identity
