#pragma once

#include <chrono>
#include <functional>
#include <optional>

#include "base/clock.h"
#include "base/result.h"
#include "op/evidence.h"

namespace sallyport::app {

/// Says every 10 seconds that the log is being written, and how the clock stands; and at once when
/// somebody has set the clock (PCI DSS 10.2.1, 10.6). So `audit coverage` can tell silence from an
/// outage. Of the one main thread.
class Heartbeat {
 public:
  using Record = std::function<Result<>(op::Evidence)>;
  explicit Heartbeat(Record record, const Clock& clock = SystemClock())
      : record_(std::move(record)), clock_(clock) {}

  /// About once a second.
  void Tick();

 private:
  using Time = std::chrono::steady_clock::time_point;
  Record record_;
  const Clock& clock_;
  std::optional<Time> beat_;  // last
  Time steady_{};
  Nanos wall_ = 0;
};

}  // namespace sallyport::app
