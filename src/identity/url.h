#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace sallyport::identity {

/// What the checks on issuer and key-set addresses need of a URL.
struct IssuerUrl {
  bool https = false;
  bool loopback = false;  // host is 127.0.0.1, [::1] or localhost
  std::string origin;     // scheme://host[:port], lower case, default port left out
};

/// http and https without user info, query or fragment, host of letters, digits, '.', '-' or a
/// bracketed IPv6 address, at most 2,048 bytes, printable ASCII. config_invalid with what is wrong
/// (not the URL itself, which may come from a discovery document).
Result<IssuerUrl> ParseIssuerUrl(std::string_view url);

/// Where the discovery document of `issuer` is (OpenID Connect Discovery 1.0 section 4).
std::string DiscoveryUrl(std::string_view issuer);
/// Where an OAuth server of that name has its metadata (RFC 8414 section 3.1).
std::string OauthMetadataUrl(std::string_view issuer);
/// The same of a transmitter of security events (OpenID Shared Signals Framework 1.0 section 7.2).
std::string SignalsUrl(std::string_view issuer);

}  // namespace sallyport::identity
