#pragma once

#include <functional>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>

#include "credential/credential.h"
#include "credential/renewal.h"

namespace sallyport::credential {

/// What a token that stands for a caller depends on: never the same for two of them. The parts come
/// from tokens and may hold anything but line breaks, which the verifier refuses.
std::string CallerKey(const op::Principal& who);

/// What a credential has at hand: one for all callers, or one for each caller and session, which no
/// other one ever gets. Obtained and renewed as Renewal does it, and dropped when the session or
/// the caller's access ends. A source that refuses one caller does not keep others waiting.
///
/// Thread-safe.
class Wallet {
 public:
  enum class Holds { one_for_all, one_for_each_caller };
  /// Blocking; on a thread of the wallet. `who` is whom it is for; nobody in particular: empty.
  using Obtain = std::function<Result<Material>(const op::Principal& who, std::stop_token)>;

  /// `connection` is for the log. `clock` must outlive it, and so must what `obtain` uses.
  Wallet(const std::string& connection, Holds holds, Obtain obtain, const Clock& clock);

  /// What is at hand for the caller of `request`, if need be after waiting for it. Those with
  /// another `kind` (what else it depends on, no line breaks) do not get it.
  /// upstream_credential_failed: the source's error, or there is no caller.
  Task<MaterialPtr> For(const Outgoing& request, std::string_view kind = {});
  /// The upstream refused `used`. True: there is, or will be, something else to try.
  bool Refused(const Outgoing& request, const MaterialPtr& used, std::string_view kind = {});
  void Forget(const std::function<bool(const op::Principal&)>& whom);

 private:
  using Steady = std::chrono::steady_clock::time_point;
  struct Caller {
    op::Principal who;
    Steady seen;
  };
  std::string KeyOf(const Outgoing& request, std::string_view kind) const;
  void Remember(const std::string& key, const op::Principal& who);

  const Holds holds_;
  const Obtain obtain_;
  const Clock& clock_;
  std::mutex mutex_;
  std::unordered_map<std::string, Caller> callers_;  // by key
  Renewal materials_;                                // last: its threads use the others
};

}  // namespace sallyport::credential
