#pragma once

#include <memory>
#include <mutex>
#include <stop_token>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/result.h"
#include "base/secret.h"
#include "credential/config.h"
#include "credential/fetch_seam.h"
#include "credential/store_answers.h"

namespace sallyport::credential {

/// HashiCorp Vault or OpenBao by its HTTP API: one token of our own, got by a login or given, and
/// renewed in its last third. Blocking: for threads of its users only. Thread-safe.
class VaultClient {
 public:
  /// `clock` must outlive it. Asks nothing yet.
  VaultClient(Vault config, Fetch fetch, const Clock& clock)
      : config_(std::move(config)), fetch_(std::move(fetch)), clock_(clock) {}

  /// The body of a 2xx answer to GET (an empty `body`), else POST. If Vault no longer knows our
  /// token (403, also to a look at itself) a new one is got and the question put once more.
  ///
  /// not_found: Vault answered, and the answer is no (400, 403, 404, 405). Else whatever stood in
  /// the way: upstream_unreachable, upstream_timeout, upstream_protocol (also: a redirect, which is
  /// never followed, sealed, 5xx) … No detail holds bytes of an answer.
  Result<std::string> Ask(std::string_view path, std::string body, std::stop_token stop);

  /// Ends the token that a login gave, and with it every lease that hangs on it. For the end.
  void Leave();

 private:
  using Steady = std::chrono::steady_clock::time_point;
  struct Token {
    Secret text;
    bool own = false;  // of a login: ours to end
    bool renewable = false;
    Steady made_at, renew_at = Steady::max(), ends_at = Steady::max();
  };
  using TokenPtr = std::shared_ptr<const Token>;

  Result<FetchResponse> Send(std::string_view path, std::string body, const Secret* token,
                             std::stop_token stop) const;
  Result<TokenPtr> Usable(std::stop_token stop);  // with busy_
  Result<TokenPtr> LogIn(std::stop_token stop);   // with busy_
  Result<TokenPtr> Given(Secret text, std::stop_token stop) const;
  TokenPtr Renewed(const Token& token, std::stop_token stop) const;
  bool Holds(const Token& token, std::stop_token stop) const;
  Result<TokenPtr> TokenFor(const TokenPtr& refused, std::stop_token stop);

  const Vault config_;
  const Fetch fetch_;
  const Clock& clock_;
  std::mutex busy_;  // held while a token is got: all others need it too
  TokenPtr token_;   // with busy_
};

/// The members of one path of the KV engine, for RemoteSecrets.
Result<SecretMembers> ReadFromVault(VaultClient& vault, const secrets::Ref& ref,
                                    std::stop_token stop);

}  // namespace sallyport::credential
