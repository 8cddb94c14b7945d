#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace sallyport::credential {

/// What an upstream says about who gives tokens for it (RFC 9728 section 2).
struct ResourceMetadata {
  std::string resource;  // as it was written; of the upstream that was asked
  std::vector<std::string> authorization_servers, scopes;
};

/// What an authorization server says of itself (RFC 8414 section 2; OpenID Connect Discovery 1.0).
/// Empty: not said.
struct AuthServer {
  std::string issuer, authorize_url, token_url, registration_url, revocation_url;
  bool answers_iss = false;      // each answer names its issuer (RFC 9207)
  bool takes_documents = false;  // client ID metadata documents
  std::vector<std::string> pkce, auth_methods, scopes;
};

/// upstream_protocol: no JSON, longer than 64 KiB, or another resource's than `upstream`, the URL
/// that is called: the same origin, and a path that it lies below.
Result<ResourceMetadata> ReadResourceMetadata(std::string_view text, std::string_view upstream);
/// upstream_protocol: another issuer's (compared byte for byte), no endpoints, or endpoints that
/// are no plain URLs.
Result<AuthServer> ReadAuthServer(std::string_view text, std::string_view issuer);

/// Where the metadata of a resource is, in the order in which it is looked for.
std::vector<std::string> ResourceMetadataUrls(std::string_view upstream);
/// The same of an issuer: RFC 8414, then OpenID Connect with the path behind and before.
std::vector<std::string> AuthServerUrls(std::string_view issuer);

/// scheme://host[:port] in lower case; empty: no plain URL.
std::string OriginOfUrl(std::string_view url);
/// https, or http of this machine where that may be; a query is allowed, a fragment is not.
bool IsSafeUrl(std::string_view url, bool loopback_http);

}  // namespace sallyport::credential
