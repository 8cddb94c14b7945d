#include "app/vault_logins.h"

#include <mutex>

namespace sallyport::app {
namespace {

using Held = credential::VaultDatabaseLogins::Held;

pg::ServerLogin LoginOf(const Held& held) {
  return {.user = held.user(), .password = held.password(), .startup = {}, .refused = {}};
}

class VaultLease final : public pg::Lease {
 public:
  explicit VaultLease(std::unique_ptr<Held> held)
      : held_(std::move(held)), login_(LoginOf(*held_)) {}
  const pg::ServerLogin& login() const override { return login_; }
  void Release() override { held_.reset(); }
  void OnLost(std::function<void()> f) override { held_->OnLost(std::move(f)); }

 private:
  std::unique_ptr<Held> held_;
  const pg::ServerLogin login_;
};

class VaultCredentials final : public pg::Credentials,
                               public std::enable_shared_from_this<VaultCredentials> {
 public:
  explicit VaultCredentials(std::shared_ptr<credential::VaultDatabaseLogins> logins)
      : logins_(std::move(logins)) {}

  Task<std::unique_ptr<pg::Lease>> Borrow(const op::Session&, std::vector<pg::Grant>,
                                          Nanos) override {
    SALLYPORT_CO_TRY(auto held, co_await logins_->Borrow());
    co_return std::make_unique<VaultLease>(std::move(held));
  }

  Task<pg::ServerLogin> Admin() override {
    const auto self = shared_from_this();
    std::shared_ptr<Held> held = Kept();
    if (!held) {
      SALLYPORT_CO_TRY(held, co_await logins_->Borrow());
      const std::lock_guard lock(mutex_);
      if (closed_) co_return Fail(Errc::draining, "the gateway is shutting down");
      own_ = held;
    }
    pg::ServerLogin login = LoginOf(*held);
    // One that the database does not take, or no longer, is not kept.
    login.refused = [weak = weak_from_this(), held] {
      if (const auto alive = weak.lock()) alive->Drop(held);
    };
    co_return login;
  }

  boost::asio::awaitable<void> Sweep() override { co_return; }
  size_t leases() const override { return logins_->leases(); }
  void Close() override {
    std::shared_ptr<Held> own;
    const std::lock_guard lock(mutex_);
    closed_ = true;
    own.swap(own_);
  }

 private:
  std::shared_ptr<Held> Kept() {
    const std::lock_guard lock(mutex_);
    if (own_ && own_->lost()) own_ = nullptr;
    return own_;
  }
  void Drop(const std::shared_ptr<Held>& held) {
    const std::lock_guard lock(mutex_);
    if (own_ == held) own_ = nullptr;
  }

  const std::shared_ptr<credential::VaultDatabaseLogins> logins_;
  std::mutex mutex_;
  std::shared_ptr<Held> own_;
  bool closed_ = false;
};

}  // namespace

std::shared_ptr<pg::Credentials> MakeVaultCredentials(
    std::shared_ptr<credential::VaultDatabaseLogins> logins) {
  return std::make_shared<VaultCredentials>(std::move(logins));
}

}  // namespace sallyport::app
