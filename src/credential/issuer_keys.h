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
#include "identity/signer.h"

namespace sallyport::credential {

/// The keys with which the gate signs tokens for upstreams: files of one directory, RSA 2048 for
/// RS256, which every relying party takes. A file's name is when its key was made (Unix seconds)
/// and the kid.
///
/// Rotation: a key is used for 30 days. Its successor is published an hour before it signs, and it
/// stays published for 25 hours after, so that neither a relying party with a cached key set nor a
/// token under way is refused.
///
/// Thread-safe, but for Tick.
class IssuerKeys {
 public:
  static constexpr std::chrono::hours kLife{30 * 24}, kPublishedBefore{1}, kPublishedAfter{25};

  /// Reads the keys, and makes the first one. `clock` must outlive it. io_failed, config_invalid (a
  /// file that is no key; its name).
  static Result<std::shared_ptr<IssuerKeys>> Open(std::filesystem::path directory,
                                                  const Clock& clock);

  /// The compact JWS (typ JWT) over `claims`, a JSON object.
  Result<std::string> Sign(std::string_view claims) const;
  /// The key set (RFC 7517) with the key that signs, the one before and the one after.
  std::string Jwks() const;

  /// Makes, retires and removes keys that are due; about once a second, from one thread. A key that
  /// cannot be written is tried again, and the old one goes on.
  Result<> Tick();

 private:
  struct Key {
    Nanos made_at;
    std::filesystem::path file;
    identity::Signer signer;
  };
  struct Set {
    std::vector<Key> keys;  // oldest first
    size_t signing = 0;
  };

  IssuerKeys(std::filesystem::path directory, const Clock& clock)
      : directory_(std::move(directory)), clock_(clock) {}
  Result<Key> Make() const;
  Result<Set> Read() const;
  void Use(Set set);

  const std::filesystem::path directory_;
  const Clock& clock_;
  std::atomic<std::shared_ptr<const Set>> set_;
};

}  // namespace sallyport::credential
