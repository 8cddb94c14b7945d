#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/result.h"

namespace sallyport::identity {

/// How an issuer stands, for /readyz, metrics and `doctor`.
struct IssuerStatus {
  enum class State {
    starting,  // no fetch has ended yet
    ready,     // keys are fresh
    stale,     // the last fetch failed, the keys before it are still in use
    down,      // no usable keys: every token of the issuer is refused
  };
  std::string provider;
  std::string issuer;
  State state = State::starting;
  size_t keys = 0;
  uint64_t refreshes = 0;       // fetches of the key set since start, good or bad
  std::chrono::seconds age{0};  // since the last good fetch
  std::string last_error;       // of the last fetch, empty if it was good
};

/// One fetch of an issuer's keys, for the log and the metrics.
struct IssuerEvent {
  std::string provider;
  Result<> outcome;
  size_t keys = 0;                   // usable keys after it
  std::vector<std::string> skipped;  // keys that were not imported, and why
};
using ObserveIssuer = std::function<void(const IssuerEvent&)>;

}  // namespace sallyport::identity
