#pragma once

#include <atomic>
#include <chrono>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "credential/key_home.h"

namespace sallyport::credential {

/// The keys with which the gate signs tokens for upstreams, RSA 2048 for RS256, which every relying
/// party takes. A kid is when its key was made (Unix seconds), and something random.
///
/// Rotation: a key is used for 30 days. Its successor is published an hour before it signs, and it
/// stays published for 25 hours after, so that neither a relying party with a cached key set nor a
/// token under way is refused. Then it is destroyed.
///
/// Thread-safe, but for Tick.
class IssuerKeys {
 public:
  static constexpr std::chrono::hours kLife{30 * 24}, kPublishedBefore{1}, kPublishedAfter{25};
  /// A key that cannot be made or destroyed is tried again after it.
  static constexpr std::chrono::minutes kAgain{1};

  /// Reads the keys, and makes the first one. What is due and fails is in the log. `clock` must
  /// outlive it. Errors are the home's.
  static Result<std::shared_ptr<IssuerKeys>> Open(std::unique_ptr<KeyHome> home,
                                                  const Clock& clock);

  /// The compact JWS (typ JWT) over `claims`, a JSON object. May take as long as the home takes.
  Result<std::string> Sign(std::string_view claims) const;
  /// The key set (RFC 7517) with the key that signs, the one before and the one after.
  std::string Jwks() const;

  /// Whether Tick has something to do. Quick.
  bool Due() const;
  /// Makes, retires and destroys keys that are due; from one thread, and may take as long as the
  /// home takes. What fails is tried again, and the old key goes on.
  Result<> Tick();

 private:
  struct Key {
    Nanos made_at;
    KeyHome::Held held;
  };
  struct Set {
    std::vector<Key> keys;  // oldest first
    size_t signing = 0;
  };

  IssuerKeys(std::unique_ptr<KeyHome> home, const Clock& clock)
      : home_(std::move(home)), clock_(clock) {}
  Result<Key> Make() const;
  Result<Set> Read() const;
  Result<> DestroyGone();
  void Use(Set set);
  bool Old(const Set& set) const;   // a successor has to be made
  bool Gone(const Set& set) const;  // the first is no longer needed
  size_t Signing(const Set& set) const;

  const std::unique_ptr<KeyHome> home_;
  const Clock& clock_;
  std::atomic<std::shared_ptr<const Set>> set_;
  std::vector<std::string> doomed_;   // kids that are not published any more; of Tick
  std::atomic<bool> waits_{false};    // something failed and is to be tried again
  std::atomic<Nanos> not_before_{0};  // then
};

}  // namespace sallyport::credential
