#include "base/clock.h"

#include <cstdio>
#include <ctime>

namespace sallyport {
namespace {

class MachineClock final : public Clock {
 public:
  Nanos WallNow() const override {
    return std::chrono::duration_cast<std::chrono::nanoseconds>(
               std::chrono::system_clock::now().time_since_epoch())
        .count();
  }
  std::chrono::steady_clock::time_point SteadyNow() const override {
    return std::chrono::steady_clock::now();
  }
};

}  // namespace

const Clock& SystemClock() {
  static const MachineClock clock;
  return clock;
}

std::string FormatUtc(Nanos t) {
  Nanos seconds = t / 1'000'000'000, fraction = t % 1'000'000'000;
  if (fraction < 0) fraction += 1'000'000'000, --seconds;
  const time_t s = static_cast<time_t>(seconds);
  tm utc{};
  gmtime_r(&s, &utc);
  char text[64];
  std::snprintf(text, sizeof text, "%04d-%02d-%02dT%02d:%02d:%02d.%09dZ", utc.tm_year + 1900, utc.tm_mon + 1,
                utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec, int(fraction));
  return text;
}

}  // namespace sallyport
