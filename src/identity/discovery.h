#pragma once

#include <stop_token>
#include <string>
#include <string_view>

#include "base/result.h"
#include "identity/config.h"
#include "identity/fetch_seam.h"

namespace sallyport::identity {

/// A request to `provider` within its bounds (authorities, addresses, loopback, sizes).
FetchRequest RequestTo(const ProviderConfig& provider, std::string url, std::stop_token stop);

/// What `provider` serves at `url`: upstream_protocol for a status other than 200. Blocking.
Result<FetchResponse> GetFrom(const ProviderConfig& provider, const Fetch& fetch,
                              const std::string& url, std::stop_token stop);

/// The URL that the discovery document of `provider` has under `member` ("jwks_uri"). The document
/// must be of exactly the configured issuer (OpenID Connect Discovery 1.0, section 4.3) and the URL
/// on the issuer's origin: upstream_protocol. Blocking.
Result<std::string> DiscoverEndpoint(const ProviderConfig& provider, const Fetch& fetch,
                                     std::string_view member, std::stop_token stop);

}  // namespace sallyport::identity
