#pragma once

#include <map>
#include <mutex>
#include <set>
#include <string>

#include "base/clock.h"
#include "base/result.h"
#include "identity/verified_token.h"

namespace sallyport::api {

/// Which tokens of workloads were exchanged: each opens one session, so that a token that leaks out
/// of a job's log is worth nothing once the job has used it.
///
/// In memory, until the token has expired; so a token from before the start of this process, which
/// may have been used then, is refused too. Bounded; thread-safe.
class Exchanged {
 public:
  static constexpr size_t kMost = 100'000;

  explicit Exchanged(const Clock& clock)
      : clock_(clock), since_(clock.WallNow() / 1'000'000'000 * 1'000'000'000) {}
  Exchanged(const Exchanged&) = delete;

  /// Once for each token: token_used. limit_exceeded: too many within the lifetime of a token.
  /// `token` is what `verified` was read from.
  Result<> Take(std::string_view token, const identity::VerifiedToken& verified);

 private:
  const Clock& clock_;
  const Nanos since_;  // whole seconds, as the times in tokens are
  std::mutex mutex_;
  std::set<std::string> used_;
  std::multimap<Nanos, std::set<std::string>::iterator> ends_;
};

}  // namespace sallyport::api
