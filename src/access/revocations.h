#pragma once

#include <atomic>
#include <map>
#include <optional>
#include <shared_mutex>
#include <string>
#include <vector>

#include "access/store.h"
#include "access/target.h"

namespace sallyport::access {

/// Since when credentials of a person, or of a session at the provider, are worth nothing, whatever
/// kind they are. In memory; thread-safe. A question costs a shared lock and a look-up, and nothing
/// while there are none.
class Revocations {
 public:
  void Add(const RevocationRow& row);
  /// Whether a credential of `who` that was issued at `issued_at` has been revoked.
  bool Covers(const op::Principal& who, Nanos issued_at) const;
  /// Of everybody: what was revoked before is not known.
  void AddAll(Nanos at);
  /// Forgets those made before `before`: no credential lives that long.
  void Forget(Nanos before);
  size_t size() const { return count_.load(); }

 private:
  mutable std::shared_mutex mutex_;
  using Table = std::map<std::string, Nanos, std::less<>>;
  Table persons_, sids_;
  Table sidless_;  // persons: credentials that name no session at the provider
  std::atomic<size_t> count_{0};
  std::atomic<Nanos> all_{0};
};

/// Which groups the newest credential of each kind showed for a person, so that leaving one is
/// noticed. Credentials of different clients are not compared: they may be made to show less.
/// Bounded; thread-safe.
class GroupsSeen {
 public:
  /// What `who` has left since an older credential of the same kind; empty as a rule.
  std::vector<std::string> Saw(const op::Principal& who, Nanos issued_at);
  /// Whether `who` shows a group that a newer credential of the same kind does not.
  bool Outdated(const op::Principal& who, Nanos issued_at) const;

 private:
  struct Seen {
    Nanos issued_at = 0;
    std::vector<std::string> groups;  // sorted
  };
  static constexpr size_t kMost = 100'000;
  mutable std::shared_mutex mutex_;
  std::map<std::string, Seen, std::less<>> seen_;
};

}  // namespace sallyport::access
