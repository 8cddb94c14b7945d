#include "app/heartbeat.h"

#include <cstdio>
#include <sys/timex.h>

#include "ledger/coverage.h"

namespace sallyport::app {
namespace {

constexpr std::chrono::milliseconds kStep{500};  // more than a slewing clock gains in one tick

/// What the kernel says of its clock (adjtimex(2)).
std::string ClockState() {
  timex state{};
  const int status = ::adjtimex(&state);
  if (status < 0) return "the state of the clock cannot be read";
  if (status == TIME_ERROR || (state.status & STA_UNSYNC) != 0) return "clock not synchronized";
  return "clock synchronized, at most " + std::to_string(state.maxerror) + " us off";
}

}  // namespace

void Heartbeat::Tick() {
  const Time steady = clock_.SteadyNow();
  const Nanos wall = clock_.WallNow();
  if (beat_) {
    const auto stepped =
        std::chrono::nanoseconds(wall - wall_) - std::chrono::nanoseconds(steady - steady_);
    if (stepped > kStep || stepped < -kStep) {
      char text[64];
      std::snprintf(text, sizeof text, "by %+.3f s",
                    std::chrono::duration<double>(stepped).count());
      op::Evidence evidence;
      evidence.type = op::EventType::clock_stepped;
      evidence.detail = text;
      (void)record_(std::move(evidence));
    }
  }
  steady_ = steady;
  wall_ = wall;
  if (beat_ && steady - *beat_ < ledger::kHeartbeat) return;
  beat_ = steady;
  op::Evidence evidence;
  evidence.type = op::EventType::log_heartbeat;
  evidence.detail = ClockState();
  (void)record_(std::move(evidence));
}

}  // namespace sallyport::app
