#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "access/sessions.h"
#include "api/login_provider.h"
#include "api/workers.h"
#include "base/clock.h"
#include "base/fetch.h"
#include "base/result.h"
#include "base/task.h"

namespace sallyport::api {

/// Base64url of SHA-256: a PKCE challenge (RFC 7636, S256).
std::string Challenge(std::string_view verifier);

/// Where a provider is asked (OpenID Connect Discovery).
struct ProviderEndpoints {
  std::string authorization, token, userinfo, end_session;
};

/// Logins that have begun and have not come back, and codes for the command line that were not
/// redeemed yet. In memory: a restart means that one begins again. Bounded; thread-safe.
class Logins {
 public:
  static constexpr std::chrono::minutes kLoginWithin{10};
  static constexpr std::chrono::minutes kRedeemWithin{2};

  Logins(std::vector<LoginProvider> providers, const Clock& clock);
  ~Logins();
  Logins(const Logins&) = delete;

  /// Ends the exchanges with providers, and their threads.
  void Stop();

  /// The provider of that name, or the first; null: there is none.
  const LoginProvider* Provider(std::string_view name) const;
  const std::vector<LoginProvider>& providers() const { return providers_; }

  struct Pending {
    const LoginProvider* provider = nullptr;
    std::string nonce, verifier, next;
    std::string redirect_uri;
    std::string issuer, request_id;  // of a login by SAML: who was asked what
    Nanos fresh_from = 0;            // 0: any login will do
    // Inside:
    std::string browser;  // digest of the cookie that the login is bound to
    Nanos until = 0;
  };
  /// `cookie`: the secret of the browser. Returns the state.
  std::string Begin(Pending pending, std::string_view cookie);
  /// The login that `state` belongs to, once. state_invalid: unknown, over, or another browser's;
  /// the other browser's login goes on.
  Result<Pending> Take(std::string_view state, std::string_view cookie);

  /// The provider of a login that is under way; null: there is none of that state.
  const LoginProvider* Asked(std::string_view state) const;

  /// A code for whoever knows the verifier of `challenge`.
  std::string Grant(std::string challenge, access::Opening opening);
  /// What the code stands for, once. A second try, or a wrong verifier, makes it worthless;
  /// `*session` is set to the session that an earlier redemption opened, which has to end then (RFC
  /// 6749 section 4.1.2).
  Result<access::Opening> Redeem(std::string_view code, std::string_view verifier,
                                 std::string* session);
  /// Which session the redeemed code has opened.
  void Redeemed(std::string_view code, std::string session);

  /// The person of this session of a browser proved at `at` (wall) who they are: not by a session
  /// at the provider that had been there before. Forgotten by a restart: then they prove it again.
  void Proved(std::string session, Nanos at);
  Nanos ProvedAt(std::string_view session) const;  // 0: unknown

  /// Does `work`, which may block for some seconds, on a thread of its own. It may outlive the
  /// wait: it owns what it touches. limit_exceeded: too much is waiting.
  Task<> Run(std::function<void()> work);
  /// An exchange with a provider on a thread of its own; it blocks nobody.
  Task<FetchResponse> Fetch(const LoginProvider& provider, FetchRequest request);
  /// The endpoints, asked for at most every ten minutes.
  Task<ProviderEndpoints> Discover(const LoginProvider& provider);

 private:
  struct Code {
    std::string challenge;
    access::Opening opening;
    bool used = false;
    std::string session;
    Nanos until = 0;
  };
  void Sweep(Nanos now);  // with mutex_

  const std::vector<LoginProvider> providers_;
  const Clock& clock_;
  mutable std::mutex mutex_;
  std::map<std::string, Pending, std::less<>> pending_;  // by the digest of the state
  std::map<std::string, Code, std::less<>> codes_;       // by the digest of the code
  struct Proof {
    Nanos at = 0, until = 0;
  };
  std::map<std::string, Proof, std::less<>> proofs_;  // by session
  std::map<std::string, std::pair<Nanos, ProviderEndpoints>> endpoints_;
  const std::shared_ptr<std::atomic<size_t>> waiting_ =
      std::make_shared<std::atomic<size_t>>(0);  // pieces of work that have not ended
  Workers workers_;
};

}  // namespace sallyport::api
