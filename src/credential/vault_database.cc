#include "credential/vault_database.h"

#include <algorithm>
#include <optional>

#include "json/document.h"
#include "net/event.h"
#include "obs/log.h"

namespace sallyport::credential {
namespace {

using std::chrono::seconds;
using Steady = std::chrono::steady_clock;

constexpr size_t kThreads = 4, kMostWaiting = 256;
constexpr std::chrono::milliseconds kWait{15'000};
constexpr seconds kRetry{1}, kLongestRetry{30};

std::string LeaseBody(std::string_view id) { return "{\"lease_id\":" + json::Quote(id) + "}"; }

/// An order that waits for a thread, and who waits for it.
template <class T>
struct Order {
  boost::asio::any_io_executor executor;
  std::shared_ptr<net::Event> done;
  std::mutex mutex;
  bool given_up = false;
  std::optional<Result<T>> result;
};

}  // namespace

struct VaultDatabaseLogins::Held::State {
  std::weak_ptr<VaultDatabaseLogins> owner;
  VaultLease lease;
  std::mutex mutex;  // of what follows
  Steady::time_point ends_at;
  bool lost = false, over = false;  // over: given back
  std::function<void()> on_lost;

  void Lose() {
    std::function<void()> tell;
    {
      const std::lock_guard lock(mutex);
      if (lost) return;
      lost = true;
      tell = std::move(on_lost);
      on_lost = nullptr;
    }
    if (tell) tell();
  }
};

const std::string& VaultDatabaseLogins::Held::user() const { return state_->lease.user; }
const Secret& VaultDatabaseLogins::Held::password() const { return state_->lease.password; }

bool VaultDatabaseLogins::Held::lost() const {
  const std::lock_guard lock(state_->mutex);
  return state_->lost || Steady::now() >= state_->ends_at;
}

void VaultDatabaseLogins::Held::OnLost(std::function<void()> f) {
  {
    const std::lock_guard lock(state_->mutex);
    if (!state_->lost) {
      state_->on_lost = std::move(f);
      return;
    }
  }
  f();
}

VaultDatabaseLogins::Held::~Held() {
  {
    const std::lock_guard lock(state_->mutex);
    state_->over = true;
    state_->on_lost = nullptr;
  }
  if (const auto owner = state_->owner.lock()) owner->GiveBack(state_);
}

std::shared_ptr<VaultDatabaseLogins> VaultDatabaseLogins::Make(std::string connection,
                                                               VaultDatabase config,
                                                               std::shared_ptr<VaultClient> vault) {
  return std::shared_ptr<VaultDatabaseLogins>(
      new VaultDatabaseLogins(std::move(connection), std::move(config), std::move(vault)));
}

VaultDatabaseLogins::VaultDatabaseLogins(std::string connection, VaultDatabase config,
                                         std::shared_ptr<VaultClient> vault)
    : connection_(std::move(connection)),
      config_(std::move(config)),
      vault_(std::move(vault)),
      jobs_(kThreads) {}

VaultDatabaseLogins::~VaultDatabaseLogins() {
  std::set<StatePtr> left;
  {
    const std::lock_guard lock(mutex_);
    left.swap(held_);
  }
  for (const StatePtr& state : left) {
    if (!vault_->Ask("sys/leases/revoke", LeaseBody(state->lease.id), {})) break;
  }
}

Result<VaultDatabaseLogins::StatePtr> VaultDatabaseLogins::Make(std::stop_token stop) {
  const std::string path = config_.mount + "/creds/" + config_.role;
  auto answer = vault_->Ask(path, {}, std::move(stop));
  if (!answer) return Fail(Errc::upstream_credential_failed, std::move(answer.error().detail));
  auto lease = ReadVaultLease(*answer, true);
  explicit_bzero(answer->data(), answer->size());
  if (!lease)
    return Fail(Errc::upstream_credential_failed, "vault " + path + ": " + lease.error().detail);
  auto state = std::make_shared<Held::State>();
  state->owner = weak_from_this();
  state->lease = std::move(*lease);
  state->ends_at = Steady::now() + state->lease.life;
  {
    const std::lock_guard lock(mutex_);
    held_.insert(state);
  }
  RenewLater(state);
  return state;
}

Task<std::unique_ptr<VaultDatabaseLogins::Held>> VaultDatabaseLogins::Borrow() {
  const auto self = shared_from_this();
  if (jobs_.waiting() > kMostWaiting)
    co_return Fail(Errc::upstream_credential_failed, "too many wait for vault");
  const auto order = std::make_shared<Order<StatePtr>>();
  order->executor = co_await net::ThisExecutor();
  order->done = std::make_shared<net::Event>(order->executor);
  jobs_.At(Steady::now(), [this, order](std::stop_token stop) {
    {
      const std::lock_guard lock(order->mutex);
      if (order->given_up) return;
    }
    auto made = Make(stop);
    {
      const std::lock_guard lock(order->mutex);
      if (order->given_up) {
        if (made) GiveBack(*made);
        return;
      }
      order->result = std::move(made);
    }
    if (!stop.stop_requested()) net::Post(order->executor, [done = order->done] { done->Set(); });
  });
  (void)co_await order->done->Wait(kWait);
  const std::lock_guard lock(order->mutex);
  if (!order->result) {
    order->given_up = true;
    co_return Fail(Errc::upstream_timeout, "vault: no database login in time");
  }
  if (!*order->result) {
    obs::Log(obs::Level::warn, "credential.not_obtained",
             {{"connection", connection_}, {"detail", order->result->error().detail}});
    co_return std::unexpected(order->result->error());
  }
  co_return std::make_unique<Held>(std::move(**order->result));
}

void VaultDatabaseLogins::RenewLater(const StatePtr& state) {
  const auto now = Steady::now();
  const auto third =
      std::chrono::duration_cast<std::chrono::milliseconds>(state->ends_at - now) / 3;
  const auto at = state->lease.renewable ? state->ends_at - third : state->ends_at;
  jobs_.At(at, [this, state](std::stop_token stop) { Renew(state, std::move(stop)); });
}

void VaultDatabaseLogins::Renew(const StatePtr& state, std::stop_token stop) {
  Steady::time_point ends_at;
  {
    const std::lock_guard lock(state->mutex);
    if (state->over || state->lost) return;
    ends_at = state->ends_at;
  }
  const auto lose = [&](const std::string& why) {
    obs::Log(obs::Level::warn, "credential.lease_lost",
             {{"connection", connection_}, {"user", state->lease.user}, {"detail", why}});
    state->Lose();
  };
  if (Steady::now() >= ends_at) return lose("its time is over");
  const std::string body = "{\"lease_id\":" + json::Quote(state->lease.id) +
                           ",\"increment\":" + std::to_string(state->lease.life.count()) + "}";
  const auto answer = vault_->Ask("sys/leases/renew", body, std::move(stop));
  if (!answer && answer.error().code == Errc::not_found) return lose(answer.error().detail);
  auto renewed = answer ? ReadVaultLease(*answer, false) : std::unexpected(answer.error());
  const auto now = Steady::now();
  if (renewed && renewed->id != state->lease.id)
    renewed = Fail(Errc::upstream_protocol, "vault renewed another lease");
  if (renewed && now + renewed->life > ends_at) {
    const std::lock_guard lock(state->mutex);
    state->ends_at = now + renewed->life;
  } else {
    // What is near its longest life cannot get more; what could not be asked is asked again.
    if (!renewed) {
      obs::Log(obs::Level::warn, "credential.lease_not_renewed",
               {{"connection", connection_}, {"detail", renewed.error().detail}});
    }
    const auto pause = std::clamp<Steady::duration>((ends_at - now) / 3, kRetry / 2, kLongestRetry);
    jobs_.At(std::min(ends_at, now + pause),
             [this, state](std::stop_token s) { Renew(state, std::move(s)); });
    return;
  }
  RenewLater(state);
}

void VaultDatabaseLogins::GiveBack(const StatePtr& state) {
  {
    const std::lock_guard lock(state->mutex);
    state->over = true;
  }
  jobs_.At(Steady::now(),
           [this, state](std::stop_token stop) { Revoke(state, 0, std::move(stop)); });
}

void VaultDatabaseLogins::Revoke(const StatePtr& state, int attempt, std::stop_token stop) {
  const auto answer = vault_->Ask("sys/leases/revoke", LeaseBody(state->lease.id), std::move(stop));
  const auto again = Steady::now() + std::min(kRetry * (1 << std::min(attempt, 5)), kLongestRetry);
  // A lease that is gone cannot be revoked: that is a no as well.
  if (answer || answer.error().code == Errc::not_found || again > state->ends_at) {
    if (!answer) {
      obs::Log(obs::Level::warn, "credential.lease_not_revoked",
               {{"connection", connection_},
                {"user", state->lease.user},
                {"detail", answer.error().detail}});
    }
    return Forget(state);
  }
  jobs_.At(again,
           [this, state, attempt](std::stop_token s) { Revoke(state, attempt + 1, std::move(s)); });
}

void VaultDatabaseLogins::Forget(const StatePtr& state) {
  const std::lock_guard lock(mutex_);
  held_.erase(state);
}

size_t VaultDatabaseLogins::leases() const {
  const std::lock_guard lock(mutex_);
  return held_.size();
}

}  // namespace sallyport::credential
