#pragma once

#include <expected>
#include <string>
#include <string_view>

namespace sallyport::pg {

/// The token of a client's OAUTHBEARER response (RFC 7628 section 3.1), judged as PostgreSQL 18
/// does (src/backend/libpq/auth-oauth.c). Empty: the client asks where to get one (discovery), or
/// sent something that is no bearer token; both are answered with OAuthBearerChallenge. The error
/// is a protocol violation in words, without bytes of the message; `authzid` is 0A000 there, the
/// others are 08P01.
struct OAuthBearerFault {
  const char* sqlstate;
  const char* detail;
};
struct OAuthBearerResponse {
  std::string_view token;  // into the message
  bool discovery = false;  // `auth` is empty
};
std::expected<OAuthBearerResponse, OAuthBearerFault> ParseOAuthBearer(std::string_view message);

/// The server's error result (RFC 7628 section 3.2.2), as JSON.
std::string OAuthBearerChallenge(std::string_view openid_configuration, std::string_view scope);

}  // namespace sallyport::pg
