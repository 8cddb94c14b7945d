#pragma once

#include <mutex>

#include "base/clock.h"

namespace sallyport::approval {

/// Wall time that never runs slower than the steady clock: setting the machine's clock back does
/// not give an approval more time; setting it forward ends it early. Thread-safe.
class Wall {
 public:
  explicit Wall(const Clock& clock);
  Nanos Now();

 private:
  const Clock& clock_;
  std::mutex mutex_;
  Nanos wall_;
  std::chrono::steady_clock::time_point steady_;
};

}  // namespace sallyport::approval
