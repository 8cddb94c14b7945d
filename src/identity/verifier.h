#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "access/sessions.h"
#include "base/clock.h"
#include "base/result.h"
#include "base/task.h"
#include "identity/claims.h"
#include "identity/config.h"
#include "identity/fetch_seam.h"
#include "identity/introspection.h"
#include "identity/issuer_status.h"
#include "identity/shown.h"
#include "identity/signals.h"
#include "identity/verified_token.h"

namespace sallyport::identity {

/// What a caller has proved beside having the token; all empty for a plain bearer.
struct Holder {
  std::string key;          // thumbprint of the key of a DPoP proof that was checked
  std::string certificate;  // x5t#S256 of the certificate that the connection has proved
};

/// Decides who a bearer token speaks for.
///
/// Guarantee: a VerifiedToken is returned only if the token is a strict compact JWS (RFC 7515),
/// signed by a current key of the statically configured issuer that its `iss` names, under the one
/// algorithm which that key is bound to, for our audience, in its lifetime, and of the class the
/// provider is configured for; or if it is the token of a session of the gateway's own that is
/// active (class "session"). Either way nothing of it has been revoked. No byte of an unverified
/// token selects a URL. Details of errors never hold bytes of the token.
///
/// Threads: all methods are thread-safe. `Verify` never blocks on I/O; a token seen before costs
/// one SHA-256 and a look-up. `Start` makes one background thread per issuer; `Stop` (or the
/// destructor) joins them and completes all waiters, and must happen before the io_contexts of
/// suspended `Authenticate` calls die.
///
/// Source: docs/identity.md; RFC 7515, 7517, 7519, 8725, 9068; PCI DSS 8.2, 8.3, 8.6.
class TokenVerifier {
 public:
  struct Options {
    std::vector<TokenClass> accept{TokenClass::access, TokenClass::ci_workload, TokenClass::k8s_sa,
                                   TokenClass::aws_webidentity,
                                   TokenClass::spiffe};  // at this endpoint
    size_t cache_entries = 16384;
    ObserveIssuer observe;
    /// Sessions of the gateway's own, and what was revoked; null: neither. Must outlive the
    /// verifier.
    access::Sessions* sessions = nullptr;
    /// Of introspection and token review; called on background threads.
    ResolveSecret resolve = [](const secrets::Ref& ref) { return secrets::Resolve(ref); };
  };

  /// Checks `config` and reads jwks_file keys; fetches nothing yet. `clock` must outlive the
  /// verifier.
  static Result<std::unique_ptr<TokenVerifier>> Create(Config config, Fetch fetch,
                                                       const Clock& clock, Options options);
  ~TokenVerifier();

  /// Starts fetching. Before it, and while the first fetch runs, tokens wait (Authenticate) or get
  /// identity-provider-down (Verify).
  void Start();
  void Stop();

  /// Judges `token` with the keys at hand. A refusal with token-key-unknown or
  /// identity-provider-down may be cured by a refresh of the issuer's keys: then `*wants_refresh`
  /// (if given) is set, and `RefreshThen` may be called.
  ///
  /// A token for the whole gateway is good everywhere; one whose `aud` names single resources only
  /// (ProviderConfig::resource_prefix) is good at `resource` if that is one of them, else
  /// token-audience-wrong.
  ///
  /// A token that is bound to its holder (`cnf`) is good only with what it is bound to, and a proof
  /// only with a token that is bound to its key: token_type_wrong (nothing was proved),
  /// token_proof_invalid. An opaque token, where a provider is asked about those, and a cluster's
  /// token, where its API server is, "refresh" by asking: token_inactive is a no.
  Result<VerifiedPtr> Verify(std::string_view token, bool* wants_refresh = nullptr,
                             std::string_view resource = {}, const Holder& holder = {});

  /// `token` as it was judged before, if that still holds and covers `resource`; null if not. Costs
  /// one hash, whatever the token is.
  VerifiedPtr Known(std::string_view token, std::string_view resource = {},
                    const Holder& holder = {});
  /// The same, whoever holds it and wherever it is for: it says nothing about this caller.
  VerifiedPtr Seen(std::string_view token);

  /// Joins the refresh that `token`'s unknown key asked for, or starts it (one flight, at most one
  /// per 10 s per issuer), and calls `done` once, on a background thread or at once on this one,
  /// when it has ended.
  void RefreshThen(std::string_view token, std::function<void()> done);

  /// Verify, and if a refresh may help, wait for it until `deadline` and judge again. The
  /// coroutine's executor must be single-threaded or a strand (a shard's is).
  Task<VerifiedPtr> Authenticate(std::string token, std::chrono::steady_clock::time_point deadline,
                                 std::string resource = {}, Holder holder = {});

  /// What a request to `resource` shows, of a token that was seen before and needs no proof; null:
  /// see Admit. Costs one hash.
  VerifiedPtr Known(const Shown& shown, std::string_view resource);

  /// The same for every request: with `Authorization: DPoP` the proof is checked first, and that it
  /// was not used before last, so that nobody can use up another's. `before` is asked before work
  /// is done for somebody whose token was not seen before. Errors as Verify; token_malformed
  /// (another scheme), token_proof_invalid.
  Task<VerifiedPtr> Admit(Shown shown, std::chrono::steady_clock::time_point deadline,
                          std::string resource, std::function<Result<>()> before);

  /// The agent that the certificate is configured for (AgentConfig::Match::certificate), until the
  /// certificate ends. token_missing: none, so it is as if nothing was shown; token_expired,
  /// session_ended.
  Result<VerifiedPtr> ByCertificate(const ClientCertificate& certificate);

  /// Whether what was verified earlier is still good: session_locked, session_ended (revoked or
  /// over). Token lifetimes are not looked at. Costs what access::Sessions::Revoked does.
  Result<> Holds(const VerifiedToken& token) const;

  /// Verifies the ID token that answers a login, waiting for a refresh of the issuer's keys as
  /// Authenticate does.
  Task<VerifiedPtr> AuthenticateLogin(std::string id_token, IdTokenCheck check,
                                      std::chrono::steady_clock::time_point deadline);
  /// The same for an ID-JAG, with which a provider lets one of our clients have a token in a
  /// person's name. Whether it was shown before is for the caller to see to.
  Task<VerifiedPtr> AuthenticateIdJag(std::string token, IdJagCheck check,
                                      std::chrono::steady_clock::time_point deadline);
  /// The same for a logout token; one that was seen before is token_claims_invalid.
  Task<LogoutToken> AuthenticateLogout(std::string token,
                                       std::chrono::steady_clock::time_point deadline);

  /// The same for what authenticates a request for Global Token Revocation, which has to be for one
  /// of `audiences`; whether it was seen before is left to the caller.
  Task<RevocationToken> AuthenticateRevocation(std::string token,
                                               std::vector<std::string> audiences,
                                               std::chrono::steady_clock::time_point deadline);

  /// Emergency: forget all keys and verified tokens, and fetch anew.
  void FlushKeys();

  std::vector<IssuerStatus> Status() const;
  size_t cached() const;  // verified tokens held

  /// Fetches what is due now on this thread, in place of the background threads: for tests and
  /// one-shot commands that never call Start. False if nothing was due.
  bool FetchDue();

 private:
  Result<VerifiedPtr> Judge(std::string_view token, bool* wants_refresh);
  Result<VerifiedPtr> JudgeSession(std::string_view token);
  Result<VerifiedPtr> JudgeLogin(std::string_view token, const IdTokenCheck& check,
                                 bool* wants_refresh);
  Result<VerifiedPtr> JudgeIdJag(std::string_view token, const IdJagCheck& check,
                                 bool* wants_refresh);
  Result<LogoutToken> JudgeLogout(std::string_view token, bool* wants_refresh);
  Result<RevocationToken> JudgeRevocation(std::string_view token,
                                          const std::vector<std::string>& audiences,
                                          bool* wants_refresh);
  boost::asio::awaitable<void> WaitForKeys(std::string token,
                                           std::chrono::steady_clock::time_point deadline);

  struct Impl;
  explicit TokenVerifier(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace sallyport::identity
