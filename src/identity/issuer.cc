#include "identity/issuer.h"

#include <algorithm>
#include <cctype>
#include <fstream>
#include <iterator>
#include <limits>
#include <optional>
#include <utility>

#include "identity/discovery.h"

namespace sallyport::identity {
namespace {

using std::chrono::seconds;
using Steady = std::chrono::steady_clock::time_point;

constexpr seconds kShortest{300}, kLongest{86400}, kUnstated{900};
constexpr seconds kFirstRetry{10}, kFirstRetryAtBoot{1}, kLastRetry{300};
constexpr size_t kMaxWaiters = 1024;
constexpr size_t kMaxNegative = 1024;

int64_t Count(Steady t) {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(t.time_since_epoch()).count();
}

/// How long the issuer lets its keys be kept (RFC 9111 section 5.2.2), within our bounds.
seconds FreshFor(std::string_view cache_control) {
  std::string text(cache_control);
  std::ranges::transform(text, text.begin(), [](uint8_t c) { return char(std::tolower(c)); });
  if (text.find("no-store") != text.npos || text.find("no-cache") != text.npos) return kShortest;
  size_t at = text.find("max-age=");
  if (at == text.npos) return kUnstated;
  int64_t value = 0;
  for (size_t i = at + 8; i < text.size() && std::isdigit(uint8_t(text[i])); ++i) {
    value = std::min<int64_t>(value * 10 + (text[i] - '0'), kLongest.count());
  }
  return std::clamp(seconds(value), kShortest, kLongest);
}

ImportRules RulesOf(const ProviderConfig& config) {
  ImportRules rules{.algorithms = {}, .rsa_default = Alg::rs256};
  for (const auto& name : config.algorithms) {
    if (auto alg = ParseAlg(name)) rules.algorithms.push_back(*alg);
  }
  rules.rsa_default = ParseAlg(config.rsa_default_alg).value_or(Alg::rs256);
  return rules;
}

Result<std::string> ReadKeyFile(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) return Fail(Errc::config_invalid, "jwks_file " + path + " cannot be read");
  std::string text(kMaxJwksBytes + 1, '\0');
  in.read(text.data(), std::streamsize(text.size()));
  text.resize(size_t(in.gcount()));
  return text;
}

}  // namespace

Issuer::Issuer(ProviderConfig config, Fetch fetch, const Clock& clock, ObserveIssuer observe)
    : config_(std::move(config)),
      fetch_(std::move(fetch)),
      clock_(clock),
      observe_(std::move(observe)),
      rules_(RulesOf(config_)),
      jwks_uri_(config_.jwks_uri),
      next_due_(clock.SteadyNow()) {}

Result<std::unique_ptr<Issuer>> Issuer::Create(ProviderConfig config, Fetch fetch,
                                               const Clock& clock, ObserveIssuer observe) {
  std::unique_ptr<Issuer> issuer(
      new Issuer(std::move(config), std::move(fetch), clock, std::move(observe)));
  if (issuer->config_.jwks_file.empty()) return issuer;
  SALLYPORT_TRY(std::string text, ReadKeyFile(issuer->config_.jwks_file));
  auto set = KeySet::Import(text, issuer->rules_);
  if (!set) {
    return Fail(Errc::config_invalid,
                "jwks_file " + issuer->config_.jwks_file + ": " + set.error().detail);
  }
  if (set->keys().empty()) {
    return Fail(Errc::config_invalid, "jwks_file " + issuer->config_.jwks_file + ": no usable key");
  }
  issuer->SetKeys(std::make_shared<const KeySet>(std::move(*set)), Steady::max());
  issuer->last_good_ = clock.SteadyNow();
  issuer->ended_once_ = true;
  return issuer;
}

Issuer::~Issuer() { Stop(); }

void Issuer::Start() {
  if (config_.jwks_file.empty() && !thread_.joinable()) thread_ = std::thread([this] { Loop(); });
}

void Issuer::RequestStop() {
  std::vector<Waiter> waiters;
  {
    std::lock_guard lock(mu_);
    stopping_ = true;
    waiters.swap(waiters_);
  }
  stop_.request_stop();
  wake_.notify_all();
  for (auto& w : waiters) w.done();
}

void Issuer::Stop() {
  RequestStop();
  if (thread_.joinable()) thread_.join();
}

void Issuer::Loop() {
  for (;;) {
    {
      std::unique_lock lock(mu_);
      wake_.wait_for(lock, next_due_ - clock_.SteadyNow(), [this] { return stopping_ || wanted_; });
      if (stopping_) return;
    }
    RunDue();
  }
}

bool Issuer::RunDue() {
  bool scheduled;
  {
    std::lock_guard lock(mu_);
    Steady now = clock_.SteadyNow();
    scheduled = now >= next_due_ || keys_ == nullptr;
    if (stopping_ || (!wanted_ && now < next_due_)) return false;
    in_flight_ = true;
    wanted_ = false;
    last_start_ = now;
    ++refreshes_;
  }
  auto fetched = FetchKeys(scheduled);

  IssuerEvent event{.provider = config_.name, .outcome = {}};
  if (!fetched) event.outcome = std::unexpected(fetched.error());
  if (fetched) event.skipped = fetched->keys.skipped();
  std::vector<Waiter> waiters;
  {
    std::lock_guard lock(mu_);
    Adopt(fetched, clock_.SteadyNow());
    event.keys = keys_ ? keys_->keys().size() : 0;
    waiters.swap(waiters_);
  }
  for (auto& w : waiters) w.done();
  if (observe_) observe_(event);
  return true;
}

void Issuer::Adopt(Result<Fetched>& fetched, Steady now) {
  in_flight_ = false;
  ended_once_ = true;
  if (fetched) {
    failures_ = 0;
    last_error_.clear();
    last_good_ = now;
    next_due_ = now + fetched->fresh_for;
    SetKeys(std::make_shared<const KeySet>(std::move(fetched->keys)),
            next_due_ + config_.stale_if_error);
    for (const auto& w : waiters_) {
      if (keys_->Find(w.kid) == nullptr) Remember(w.kid, now);
    }
    return;
  }
  last_error_ = fetched.error().detail;
  seconds first = keys_ ? kFirstRetry : kFirstRetryAtBoot;
  next_due_ = now + std::min(first * (1 << std::min(failures_, 8)), kLastRetry);
  ++failures_;
  jwks_uri_ = config_.jwks_uri;  // perhaps it moved: discover again
}

void Issuer::SetKeys(std::shared_ptr<const KeySet> keys, Steady usable_until) {
  keys_ = std::move(keys);
  usable_until_.store(Count(usable_until), std::memory_order_release);
  generation_.fetch_add(1, std::memory_order_release);
}

Result<FetchResponse> Issuer::Get(const std::string& url) {
  return GetFrom(config_, fetch_, url, stop_.get_token());
}

Result<std::string> Issuer::Discover() {
  return DiscoverEndpoint(config_, fetch_, "jwks_uri", stop_.get_token());
}

Result<Issuer::Fetched> Issuer::FetchKeys(bool discover) {
  std::string uri;
  {
    std::lock_guard lock(mu_);
    uri = jwks_uri_;
  }
  if (config_.jwks_uri.empty() && (discover || uri.empty())) {
    SALLYPORT_TRY(uri, Discover());
    std::lock_guard lock(mu_);
    jwks_uri_ = uri;
  }
  SALLYPORT_TRY(FetchResponse response, Get(uri));
  auto keys = KeySet::Import(response.body, rules_);
  if (!keys) return Fail(Errc::upstream_protocol, keys.error().detail);
  return Fetched{std::move(*keys), FreshFor(response.Header("cache-control"))};
}

bool Issuer::MayRefresh(Steady now) const {
  if (stopping_ || !config_.jwks_file.empty() || waiters_.size() >= kMaxWaiters) return false;
  return in_flight_ || wanted_ || last_start_ == Steady::min() ||
         now - last_start_ >= kDemandInterval;
}

bool Issuer::IsNegative(std::string_view kid, Steady now) {
  auto it = negative_.find(std::string(kid));
  if (it == negative_.end()) return false;
  if (now < it->second) return true;
  negative_.erase(it);
  return false;
}

void Issuer::Remember(const std::string& kid, Steady now) {
  if (negative_.size() >= kMaxNegative) negative_.clear();  // the 10 s rule still holds the line
  negative_[kid] = now + kUnknownKidFor;
}

Issuer::Found Issuer::Find(std::string_view kid) {
  std::lock_guard lock(mu_);
  Steady now = clock_.SteadyNow();
  Found found{.set = keys_, .generation = generation_.load(std::memory_order_relaxed)};
  if (keys_ == nullptr || Count(now) >= usable_until_.load(std::memory_order_relaxed)) {
    found.why = Errc::identity_provider_down;
    found.may_refresh = MayRefresh(now);
    return found;
  }
  found.key = keys_->Find(kid);
  if (found.key == nullptr) found.may_refresh = !IsNegative(kid, now) && MayRefresh(now);
  return found;
}

bool Issuer::StillHolds(std::string_view kid, std::string_view thumbprint,
                        std::atomic<uint64_t>& generation) {
  if (Count(clock_.SteadyNow()) >= usable_until_.load(std::memory_order_acquire)) return false;
  if (generation_.load(std::memory_order_acquire) == generation.load(std::memory_order_relaxed)) {
    return true;
  }
  std::lock_guard lock(mu_);
  if (keys_ == nullptr || !keys_->Holds(kid, thumbprint)) return false;
  generation.store(generation_.load(std::memory_order_relaxed), std::memory_order_relaxed);
  return true;
}

void Issuer::RefreshThen(std::string kid, std::function<void()> done) {
  {
    std::unique_lock lock(mu_);
    if (!MayRefresh(clock_.SteadyNow())) {
      lock.unlock();
      done();
      return;
    }
    wanted_ = wanted_ || !in_flight_;
    waiters_.push_back({std::move(kid), std::move(done)});
  }
  wake_.notify_all();
}

void Issuer::Flush() {
  {
    std::lock_guard lock(mu_);
    if (!config_.jwks_file.empty()) return;
    SetKeys(nullptr, Steady{});
    negative_.clear();
    wanted_ = true;
  }
  wake_.notify_all();
}

IssuerStatus Issuer::Status() const {
  std::lock_guard lock(mu_);
  Steady now = clock_.SteadyNow();
  IssuerStatus out{.provider = config_.name, .issuer = config_.issuer, .refreshes = refreshes_};
  bool usable = keys_ != nullptr && Count(now) < usable_until_.load(std::memory_order_relaxed);
  using State = IssuerStatus::State;
  out.state = !ended_once_    ? State::starting
              : !usable       ? State::down
              : failures_ > 0 ? State::stale
                              : State::ready;
  out.keys = usable ? keys_->keys().size() : 0;
  if (keys_) out.age = std::chrono::duration_cast<seconds>(now - last_good_);
  out.last_error = last_error_;
  return out;
}

}  // namespace sallyport::identity
