#include "approval/wall.h"

#include <algorithm>

namespace sallyport::approval {

Wall::Wall(const Clock& clock)
    : clock_(clock), wall_(clock.WallNow()), steady_(clock.SteadyNow()) {}

Nanos Wall::Now() {
  const std::lock_guard lock(mutex_);
  const auto steady = std::max(clock_.SteadyNow(), steady_);
  const Nanos passed =
      std::chrono::duration_cast<std::chrono::nanoseconds>(steady - steady_).count();
  wall_ = std::max(clock_.WallNow(), wall_ + passed);
  steady_ = steady;
  return wall_;
}

}  // namespace sallyport::approval
