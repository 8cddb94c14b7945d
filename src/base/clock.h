#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace sallyport {

/// Wall time in nanoseconds since the epoch, UTC.
using Nanos = int64_t;

/// The one source of time, so that tests can move it. Implementations are thread-safe.
class Clock {
 public:
  virtual ~Clock() = default;
  virtual Nanos WallNow() const = 0;                                    // for records and token lifetimes
  virtual std::chrono::steady_clock::time_point SteadyNow() const = 0;  // for deadlines and latencies
};

/// The machine's clock. Static lifetime.
const Clock& SystemClock();

/// RFC 3339 in UTC with nanoseconds: 2026-11-20T12:00:00.123456789Z.
std::string FormatUtc(Nanos t);

}  // namespace sallyport
