#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <string_view>

#include "access/digest.h"
#include "base/clock.h"
#include "base/result.h"
#include "state/writer.h"

namespace sallyport::access {

/// Which signed messages of identity providers (requests to revoke, security events) were taken
/// already. By the SHA-256 of issuer and id, until they could not be used any more anyway; kept in
/// the state, so that a restart does not make an old message new (what was taken in the last
/// moments before a crash may be lost). Bounded; thread-safe.
class Replays {
 public:
  static constexpr size_t kMost = 200'000;

  static Result<> Migrate(state::Database& db);
  /// If the state cannot be read, nothing is known to be taken. Both must outlive it.
  Replays(state::Writer& state, const Clock& clock);
  Replays(const Replays&) = delete;

  bool Seen(std::string_view issuer, std::string_view id) const;
  /// Once for each: token_used. limit_exceeded: too many that are not over yet.
  Result<> Take(std::string_view issuer, std::string_view id, Nanos until);
  size_t size() const;

 private:
  using Ends = std::multimap<Nanos, std::set<TokenDigest>::iterator>;
  state::Writer& state_;
  const Clock& clock_;
  mutable std::mutex mutex_;
  std::set<TokenDigest> taken_;
  Ends ends_;
};

}  // namespace sallyport::access
