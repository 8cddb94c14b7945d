#pragma once

#include <cstdint>
#include <deque>
#include <mutex>
#include <string>
#include <unordered_map>

#include "base/clock.h"
#include "op/decision.h"

namespace sallyport::gate {

/// Counts calls per (caller, rule) over a sliding window, exactly: no window of the rule's length
/// ever holds more than its number of calls. Thread-safe. Memory is bounded by the calls a rule
/// allows and by `kCallers`; when that many callers are known, the one longest silent is forgotten.
class RateLimiter {
 public:
  /// Takes one call from every rate, or from none: returns 0, or the seconds until it could
  /// succeed.
  uint32_t Take(const std::string& caller, const std::vector<op::Rate>& rates, Nanos now);

 private:
  static constexpr size_t kCallers = 100'000;
  void Forget(Nanos now);

  std::mutex mutex_;
  std::unordered_map<std::string, std::deque<Nanos>> windows_;
};

}  // namespace sallyport::gate
