#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <set>
#include <string>

#include "base/secret.h"
#include "base/task.h"
#include "credential/config.h"
#include "credential/jobs.h"
#include "credential/vault.h"

namespace sallyport::credential {

/// Logins that the database engine of a Vault makes, one for each who asks, each with a lease: it
/// is renewed while it is used, in its last third, and revoked when it is given back. An attempt to
/// revoke is repeated until the lease would have ended by itself.
///
/// A lease that Vault does not renew any more, or that ends because Vault cannot be asked, is lost:
/// its user is told, and has to stop using it. Thread-safe.
class VaultDatabaseLogins : public std::enable_shared_from_this<VaultDatabaseLogins> {
 public:
  /// `vault` is shared with others. `connection`: for the log.
  static std::shared_ptr<VaultDatabaseLogins> Make(std::string connection, VaultDatabase config,
                                                   std::shared_ptr<VaultClient> vault);

  /// Revokes what is left, as long as Vault answers.
  ~VaultDatabaseLogins();

  /// One login. Gives it back when it dies.
  class Held {
   public:
    struct State;
    explicit Held(std::shared_ptr<State> state) : state_(std::move(state)) {}
    ~Held();
    Held(const Held&) = delete;
    const std::string& user() const;
    const Secret& password() const;
    bool lost() const;
    /// `f` is called once, on any thread, when the login is lost; at once if it is already.
    void OnLost(std::function<void()> f);

   private:
    std::shared_ptr<State> state_;
  };

  /// A new login. upstream_credential_failed: Vault does not give one; upstream_timeout: not in 15
  /// s.
  Task<std::unique_ptr<Held>> Borrow();
  /// Logins that exist at Vault as far as is known: held, or being given back.
  size_t leases() const;

 private:
  using StatePtr = std::shared_ptr<Held::State>;

  VaultDatabaseLogins(std::string connection, VaultDatabase config,
                      std::shared_ptr<VaultClient> vault);
  Result<StatePtr> Make(std::stop_token stop);
  void RenewLater(const StatePtr& state);
  void Renew(const StatePtr& state, std::stop_token stop);
  void GiveBack(const StatePtr& state);
  void Revoke(const StatePtr& state, int attempt, std::stop_token stop);
  void Forget(const StatePtr& state);

  const std::string connection_;
  const VaultDatabase config_;
  const std::shared_ptr<VaultClient> vault_;
  mutable std::mutex mutex_;
  std::set<StatePtr> held_;  // by us, or being given back
  Jobs jobs_;                // last: its threads use the others
};

}  // namespace sallyport::credential
