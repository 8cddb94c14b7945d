#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

#include "access/digest.h"
#include "access/sessions.h"
#include "base/clock.h"
#include "base/task.h"
#include "oauth/store.h"

namespace sallyport::oauth {

/// Base64url of SHA-256 (RFC 7636 section 4.2, S256).
std::string Challenge(std::string_view verifier);

/// What a person lets a client have, from their yes to the session.
struct Granted {
  std::string client;        // Client::id
  std::string redirect_uri;  // as it was asked for
  std::string challenge;     // of PKCE
  std::string resource;      // as it was asked for
  std::string scope;         // for the answer
  access::Opening opening;   // the session to be
};

/// What has been granted: authorization codes, refresh tokens, and to which clients people have
/// said yes before. Secrets are kept as SHA-256 only.
///
/// Codes are in memory for a minute; a restart means that the client asks again. Refresh tokens and
/// consents are durable. Bounded; thread-safe.
/// Source: RFC 6749 sections 4.1.2, 6; RFC 9700 sections 2.2.2, 4.14.
class Grants {
 public:
  static constexpr std::chrono::seconds kCodeWithin{60};
  /// A client whose answer was lost may ask once more with the token it has.
  static constexpr std::chrono::seconds kLostWithin{60};
  static constexpr std::chrono::hours kConsentFor{24 * 90};

  /// Reads what is kept; what cannot be read is not there: people are asked anew, and clients send
  /// them to sign in. `clock` must outlive it.
  Grants(std::shared_ptr<Store> store, const Clock& clock);

  /// A code for whoever knows the verifier of `granted.challenge`.
  std::string Issue(Granted granted);
  /// What the code stands for, once. Whoever comes second, or brings another client, redirect or
  /// verifier, makes it worthless: state_invalid; `*session` is set to the session that an earlier
  /// redemption opened, which has to end then.
  struct Shown {
    std::string_view code, client, redirect_uri, verifier;
  };
  Result<Granted> Redeem(const Shown& shown, std::string* session);
  /// Which session the redeemed code has opened.
  void Redeemed(std::string_view code, std::string session);

  /// A refresh token for the session; it belongs to `client` and is worth nothing from `until` on.
  Task<std::string> Begin(std::string session, std::string client, Nanos until);
  struct Turn {
    std::string session, token;
    bool lost = false;  // the answer before did not arrive: what was in it is worth nothing
  };
  /// The next refresh token in place of `token`, and which session is renewed by it. state_invalid:
  /// there is no such token, or it is another client's. token_used: it was replaced before, so two
  /// hold a copy: then `*session` has to end.
  Task<Turn> Rotate(std::string token, std::string client, std::string* session);
  /// The session of a refresh token, in use or replaced; empty: none.
  std::string SessionOf(std::string_view token) const;
  /// Nothing is renewed any more by the tokens of this session.
  void Forget(const std::string& session);

  /// Whether this person has let the client do just this before.
  bool Agreed(const Consent& consent) const;
  Task<> Agree(Consent consent);

 private:
  struct Code {
    Granted granted;
    bool used = false;
    std::string session;
    Nanos until = 0, forget_at = 0;
  };
  void Sweep(Nanos now);  // with mutex_

  const std::shared_ptr<Store> store_;
  const Clock& clock_;
  mutable std::mutex mutex_;
  std::map<access::TokenDigest, Code> codes_;
  std::map<access::TokenDigest, Family> families_;  // by handle
  std::map<access::TokenDigest, Nanos> consents_;   // until when
};

}  // namespace sallyport::oauth
