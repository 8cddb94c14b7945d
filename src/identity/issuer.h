#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <stop_token>
#include <string>
#include <string_view>
#include <thread>
#include <unordered_map>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "identity/config.h"
#include "identity/fetch_seam.h"
#include "identity/issuer_status.h"
#include "identity/jwk.h"

namespace sallyport::identity {

/// The keys of one configured issuer, kept fresh.
///
/// Fetching: discovery (its `issuer` must equal the configured one byte for byte, OpenID Connect
/// Discovery 4.3), then the key set, at clamp(Cache-Control max-age, 5 min .. 24 h), 15 min if the
/// issuer does not say. A failed fetch is tried again after 10 s (1 s as long as there are no keys
/// at all), doubling to 5 min, and leaves the last good keys in use until `stale_if_error` after
/// they should have been renewed; then, and on a boot without the issuer, there are no keys and
/// callers are refused with identity-provider-down.
///
/// A kid that is not in the set may ask for one fetch out of turn: at most one per 10 s, all askers
/// share it, and a kid that it did not bring is not asked for again for 60 s. So random kids cost
/// the issuer at most one request per 10 s and never touch the look-up of known kids.
///
/// Threads: all methods are thread-safe. One background thread, made by Start; the fetch runs on
/// it, without the lock.
class Issuer {
 public:
  static constexpr std::chrono::seconds kDemandInterval{10};
  static constexpr std::chrono::seconds kUnknownKidFor{60};

  /// `clock` must outlive the issuer. Keys of `jwks_file` are read here.
  static Result<std::unique_ptr<Issuer>> Create(ProviderConfig config, Fetch fetch,
                                                const Clock& clock, ObserveIssuer observe);
  ~Issuer();
  Issuer(const Issuer&) = delete;
  Issuer& operator=(const Issuer&) = delete;

  void Start();
  void RequestStop();  // ends the fetch in flight and completes all waiters
  void Stop();         // the same, and joins; idempotent

  struct Found {
    std::shared_ptr<const KeySet> set;   // keeps `key` alive
    const Key* key = nullptr;            // null: not to be verified, see `why`
    uint64_t generation = 0;             // of the set
    Errc why = Errc::token_key_unknown;  // or identity_provider_down
    bool may_refresh = false;  // a fetch could cure it, and RefreshThen would join or start one
  };
  Found Find(std::string_view kid);

  /// Whether a token that was verified with this key, of the set `generation`, is still good; on
  /// yes `generation` becomes the current one. Lock-free while the keys have not changed.
  bool StillHolds(std::string_view kid, std::string_view thumbprint,
                  std::atomic<uint64_t>& generation);

  /// Calls `done` when the fetch for `kid` has ended: at once if none is allowed now. At most 1,024
  /// wait.
  void RefreshThen(std::string kid, std::function<void()> done);

  /// Does what is due now on the calling thread; false if nothing was. What the background thread
  /// runs; called directly by tests, never by both.
  bool RunDue();

  void Flush();  // forgets the keys and fetches at once
  IssuerStatus Status() const;
  const ProviderConfig& config() const { return config_; }

 private:
  using Steady = std::chrono::steady_clock::time_point;
  struct Fetched {
    KeySet keys;
    std::chrono::seconds fresh_for;
  };
  struct Waiter {
    std::string kid;
    std::function<void()> done;
  };

  Issuer(ProviderConfig config, Fetch fetch, const Clock& clock, ObserveIssuer observe);
  void Loop();
  Result<Fetched> FetchKeys(bool discover);
  Result<std::string> Discover();
  Result<FetchResponse> Get(const std::string& url);
  bool MayRefresh(Steady now) const;                                      // with mu_
  bool IsNegative(std::string_view kid, Steady now);                      // with mu_
  void Remember(const std::string& kid, Steady now);                      // with mu_
  void Adopt(Result<Fetched>& fetched, Steady now);                       // with mu_
  void SetKeys(std::shared_ptr<const KeySet> keys, Steady usable_until);  // with mu_

  const ProviderConfig config_;
  const Fetch fetch_;
  const Clock& clock_;
  const ObserveIssuer observe_;
  const ImportRules rules_;

  std::stop_source stop_;                 // ends a fetch in flight
  std::atomic<uint64_t> generation_{1};   // grows with every change of keys_
  std::atomic<int64_t> usable_until_{0};  // steady nanoseconds

  mutable std::mutex mu_;
  std::condition_variable wake_;
  std::shared_ptr<const KeySet> keys_;  // null: none
  std::string jwks_uri_;                // configured or discovered; empty: discover first
  bool ended_once_ = false;             // a fetch has ended
  bool in_flight_ = false;
  bool wanted_ = false;  // a fetch out of turn
  bool stopping_ = false;
  Steady next_due_;
  Steady last_start_ = Steady::min();
  Steady last_good_;
  int failures_ = 0;
  uint64_t refreshes_ = 0;
  std::string last_error_;
  std::vector<Waiter> waiters_;
  std::unordered_map<std::string, Steady> negative_;
  std::thread thread_;
};

}  // namespace sallyport::identity
