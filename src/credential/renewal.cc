#include "credential/renewal.h"

#include <algorithm>

#include "obs/log.h"

namespace sallyport::credential {
namespace {

constexpr Nanos kSecond = 1'000'000'000;
constexpr std::chrono::seconds kFirstPause{1}, kLongestPause{30};

}  // namespace

Renewal::Renewal(std::string name, const Clock& clock, size_t threads)
    : name_(std::move(name)), clock_(clock) {
  for (size_t i = 0; i < threads; ++i) threads_.emplace_back([this] { Work(); });
}

Renewal::~Renewal() {
  {
    const std::lock_guard lock(mutex_);
    stop_.request_stop();
  }
  wake_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

MaterialPtr Renewal::GoodNow(const Entry& entry) const {
  if (!entry.current) return nullptr;
  const Nanos end = entry.current->unusable_at;
  return end == 0 || clock_.WallNow() < end ? entry.current : nullptr;
}

void Renewal::MakeRoom() {
  if (entries_.size() < kMost) return;
  auto oldest = entries_.end();
  for (auto it = entries_.begin(); it != entries_.end(); ++it) {
    if (it->second.running) continue;
    if (oldest == entries_.end() || it->second.used_at < oldest->second.used_at) oldest = it;
  }
  if (oldest != entries_.end()) entries_.erase(oldest);
}

/// The entry of `key`; its source is asked where that is due.
Renewal::Entry& Renewal::Touch(const std::string& key, const Obtain& obtain) {
  auto at = entries_.find(key);
  if (at == entries_.end()) {
    MakeRoom();
    at = entries_.try_emplace(key).first;
  }
  Entry& entry = at->second;
  const Steady now = clock_.SteadyNow();
  entry.used_at = now;
  const bool wanted = !GoodNow(entry) ||
                      (entry.current->renew_at != 0 && clock_.WallNow() >= entry.current->renew_at);
  if (wanted && !entry.running && now >= entry.not_before) {
    entry.running = true;
    entry.obtain = obtain;
    due_.push_back(key);
    wake_.notify_one();
  }
  return entry;
}

MaterialPtr Renewal::Known(const std::string& key, const Obtain& obtain) {
  const std::lock_guard lock(mutex_);
  return GoodNow(Touch(key, obtain));
}

Task<MaterialPtr> Renewal::Get(std::string key, Obtain obtain) {
  Waiter waiter{co_await net::ThisExecutor(), nullptr};
  waiter.event = std::make_shared<net::Event>(waiter.executor);
  {
    const std::lock_guard lock(mutex_);
    Entry& entry = Touch(key, obtain);
    if (MaterialPtr good = GoodNow(entry)) co_return good;
    if (!entry.running) co_return std::unexpected(entry.last_error);
    entry.waiters.push_back(waiter);
  }
  SALLYPORT_CO_CHECK(co_await waiter.event->Wait(kWait));
  const std::lock_guard lock(mutex_);
  const auto at = entries_.find(key);
  if (at == entries_.end()) co_return Fail(Errc::upstream_credential_failed, "it was given up");
  if (MaterialPtr good = GoodNow(at->second)) co_return good;
  co_return std::unexpected(at->second.last_error);
}

void Renewal::Forget(const std::string& key) {
  const std::lock_guard lock(mutex_);
  const auto at = entries_.find(key);
  if (at == entries_.end()) return;
  at->second.current = nullptr;
  if (at->second.running) {
    at->second.forgotten = true;
  } else {
    entries_.erase(at);
  }
}

bool Renewal::Knows(const std::string& key) {
  const std::lock_guard lock(mutex_);
  return entries_.contains(key);
}

bool Renewal::Refused(const std::string& key, const MaterialPtr& used) {
  const std::lock_guard lock(mutex_);
  const auto at = entries_.find(key);
  if (at == entries_.end()) return true;
  Entry& entry = at->second;
  if (entry.current != used) return true;  // another call found out first
  if (clock_.WallNow() - used->obtained_at < Nanos(kTrust.count()) * kSecond) return false;
  entry.current = nullptr;
  return true;
}

void Renewal::Work() {
  while (true) {
    std::string key;
    Obtain obtain;
    {
      std::unique_lock lock(mutex_);
      wake_.wait(lock, [this] { return stop_.stop_requested() || !due_.empty(); });
      if (stop_.stop_requested()) return;
      key = std::move(due_.front());
      due_.pop_front();
      obtain = entries_.at(key).obtain;
    }
    Finish(key, obtain(stop_.get_token()));
  }
}

void Renewal::Finish(const std::string& key, Result<Material> made) {
  const std::lock_guard lock(mutex_);
  if (stop_.stop_requested()) return;  // the shards may be gone
  Entry& entry = entries_.at(key);
  entry.running = false;
  entry.obtain = nullptr;
  if (std::exchange(entry.forgotten, false))
    made = Fail(Errc::upstream_credential_failed, "the caller's access has ended");
  if (made) {
    entry.current = std::make_shared<const Material>(std::move(*made));
    entry.failures = 0;
    entry.not_before = Steady::min();
  } else {
    const auto pause = std::min<std::chrono::seconds>(
        kFirstPause * (1 << std::min(entry.failures++, 5)), kLongestPause);
    entry.not_before = clock_.SteadyNow() + pause;
    entry.last_error = Error(Errc::upstream_credential_failed, std::move(made.error().detail));
    obs::Log(obs::Level::warn, "credential.not_obtained",
             {{"connection", name_}, {"detail", entry.last_error.detail}});
  }
  for (Waiter& waiter : std::exchange(entry.waiters, {}))
    net::Post(waiter.executor, [event = std::move(waiter.event)] { event->Set(); });
}

}  // namespace sallyport::credential
