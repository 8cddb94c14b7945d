#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "identity/config.h"
#include "identity/jws.h"

namespace sallyport::identity {

/// A claim that is text without control characters and of at most `max` bytes; absent is "".
/// token_claims_invalid.
Result<std::string> ShortText(json::Value claims, const char* name, size_t max);
/// A claim that is a NumericDate (RFC 7519 section 2), in nanoseconds, fractions of a second
/// dropped. token_claims_invalid.
Result<std::optional<Nanos>> Date(json::Value claims, const char* name);

/// The claims that every class needs, checked.
struct CheckedClaims {
  std::string subject;
  std::string client_id;  // client_id, azp, appid or cid; empty if the token has none
  std::string token_id;
  Nanos issued_at = 0;
  Nanos expires_at = 0;
  Nanos valid_from = 0;        // earliest moment at which all time checks hold, skew included
  Nanos valid_until = 0;       // first moment at which the token is expired, skew included
  bool whole_gateway = false;  // one of provider.audiences is in `aud`
  std::vector<std::string> resources;  // audiences below provider.resource_prefix
  Nanos auth_time = 0;
  std::string sid;  // session at the provider
  std::string acr;
  std::vector<std::string> amr;
  std::vector<std::string> scopes;
  std::string bound_key, bound_certificate;  // VerifiedToken
};

/// Judges the claims of a token whose signature has been verified with a key of `provider`.
/// `known_clients` are the client ids that may hold a token which names several audiences.
///
/// Checked (RFC 7519 section 4.1, RFC 8725, RFC 9068 section 4, notes on each in docs/identity.md):
/// the class's `typ` and the marks of other classes → token_type_wrong; `iss` byte for byte →
/// token_issuer_unknown; `aud` → token_audience_wrong; `exp`, `iat`, `nbf`, lifetime →
/// token_expired, token_not_yet_valid, token_claims_invalid; `sub`, client ids, types of the others
/// → token_claims_invalid. Skew widens both ends.
Result<CheckedClaims> CheckClaims(const Jws& jws, const ProviderConfig& provider,
                                  const std::vector<std::string>& known_clients, Nanos now);

/// Judges what a provider answered about an opaque token (RFC 7662 section 2.2), `active` already.
/// As CheckClaims, but `iss` and `iat` may be missing: the answer came from the one provider that
/// was asked. `exp` and `aud` may not: what is good for ever, or for anybody, is not taken.
Result<CheckedClaims> CheckIntrospected(json::Value claims, const ProviderConfig& provider,
                                        const std::vector<std::string>& known_clients, Nanos now);

/// What an ID token has to answer to.
struct IdTokenCheck {
  std::string client_id;         // ours at the provider
  std::string nonce;             // of the login that asked for it
  Nanos authenticated_from = 0;  // 0: any login will do; else it must be one made since then
};

/// Judges the claims of an ID token, which is good for a login and for nothing else (OpenID Connect
/// Core 3.1.3.7): `aud` holds our client id, `azp` is ours where it stands, `nonce` is that of the
/// login, `auth_time` where a fresh login was demanded. Errors as CheckClaims.
Result<CheckedClaims> CheckIdToken(const Jws& jws, const ProviderConfig& provider,
                                   const IdTokenCheck& check, Nanos now);

/// What an ID-JAG has to answer to.
struct IdJagCheck {
  std::string audience;   // our issuer identifier
  std::string client_id;  // of the client that shows it, which has proved itself
};

/// Judges the claims of an identity assertion of a provider for one of our clients (Identity
/// Assertion Authorization Grant, draft-ietf-oauth-identity-assertion-authz-grant, section 4.4):
/// `typ` oauth-id-jag+jwt, `aud` is us and nobody else, `client_id` the client, `jti`, one
/// `resource`, which is left in `resources`. Errors as CheckClaims.
Result<CheckedClaims> CheckIdJag(const Jws& jws, const ProviderConfig& provider,
                                 const IdJagCheck& check, Nanos now);

/// Who has been signed out at the provider.
struct LogoutToken {
  std::string issuer, subject, sid;  // at least one of the last two
  std::string token_id;
  Nanos issued_at = 0, expires_at = 0;
};

/// Judges the claims of a logout token (OpenID Connect Back-Channel Logout 1.0, section 2.6), but
/// not whether it was seen before.
Result<LogoutToken> CheckLogoutToken(const Jws& jws, const ProviderConfig& provider, Nanos now);

}  // namespace sallyport::identity
