#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "identity/config.h"
#include "identity/jws.h"
#include "json/document.h"

namespace sallyport::identity {

/// A request to revoke is minted for one call; this is more than anybody gives it.
inline constexpr std::chrono::minutes kRevocationTokenLives{15};
/// No credential that we accept, and no session, lives longer (with skew): an older event speaks of
/// nothing that could still be alive.
inline constexpr std::chrono::hours kOldestEvent{26};

/// Who is meant by a subject identifier (RFC 9493).
struct SignalSubject {
  std::string subject;  // `sub` at the provider; or
  std::string email;    // or
  std::string sid;      // a session there, alone or with a subject
};

/// Reads a subject identifier: iss_sub, email, opaque (its id is the provider's `sub`) and complex
/// (`user`, `session`). `issuer` is the one whose people may be named. Other formats and members
/// that are missing: request_malformed. Somebody of another issuer: identity_mismatch.
Result<SignalSubject> ReadSubject(json::Value subject, std::string_view issuer);

/// A request for Global Token Revocation that its provider has signed.
struct RevocationToken {
  std::string provider, issuer, token_id;
  Nanos expires_at = 0;  // skew included
};

/// Judges the claims of the token that authenticates a request for Global Token Revocation, but not
/// whether it was seen before. Only its `typ` tells it from the tokens that the same provider signs
/// for people: it is never left out. Errors as CheckClaims.
/// Source: draft-parecki-oauth-global-token-revocation-06; Okta Universal Logout.
Result<RevocationToken> CheckRevocationToken(const Jws& jws, const ProviderConfig& provider,
                                             const std::vector<std::string>& audiences, Nanos now);

/// The body of such a request: {"sub_id": …}, read strictly. Errors as ReadSubject.
Result<SignalSubject> ReadRevocationBody(std::string_view body, std::string_view issuer);

/// What an event asks for.
enum class SignalEffect : uint8_t {
  end_person,   // all of the person
  end_session,  // what came out of one session at the provider, if it is named; else of the person
  nothing,      // known, and nobody's access ends
  unknown,      // not known: recorded, nothing else
};

/// One event of a security event token.
struct Signal {
  std::string type;  // a short name of a known one: "session-revoked"; else "unknown"
  SignalEffect effect = SignalEffect::unknown;
  std::optional<SignalSubject> subject;  // there if something ends
  std::string note;                      // of a closed set, for the log: "change_type delete"
};

struct SecEvent {
  std::string token_id;
  Nanos issued_at = 0;
  bool too_old = false;  // see kOldestEvent
  std::vector<Signal> signals;
};

/// Who sends security events about which provider's people.
struct Transmitter {
  std::string provider;        // ProviderConfig::name
  std::string subject_issuer;  // ProviderConfig::issuer: whose people it may speak of
  std::string issuer;          // of its tokens
  std::vector<std::string> audiences;
  std::chrono::seconds skew{60};
};

/// Judges a security event token (RFC 8417; OpenID Shared Signals Framework 1.0, CAEP 1.0, RISC
/// 1.0) whose signature has been verified, but not whether it was seen before. token_type_wrong
/// (`typ` is not secevent+jwt), token_issuer_unknown, token_audience_wrong, token_not_yet_valid,
/// token_claims_invalid, and as ReadSubject of an event that would end something.
Result<SecEvent> CheckSecEvent(const Jws& jws, const Transmitter& transmitter, Nanos now);

}  // namespace sallyport::identity
