#include "app/moment.h"

#include <cstdio>
#include <ctime>

namespace sallyport::app {

std::optional<Nanos> ParseMoment(const std::string& text) {
  tm utc{};
  if (const char* end = strptime(text.c_str(), "%Y-%m-%d", &utc); end != nullptr && *end == '\0') {
    return static_cast<Nanos>(timegm(&utc)) * 1'000'000'000;
  }
  utc = {};
  const char* rest = strptime(text.c_str(), "%Y-%m-%dT%H:%M:%S", &utc);
  if (rest == nullptr) return std::nullopt;
  Nanos fraction = 0, unit = 1'000'000'000;
  if (*rest == '.') {
    for (++rest; *rest >= '0' && *rest <= '9' && unit > 1; ++rest)
      fraction += (*rest - '0') * (unit /= 10);
  }
  if (std::string_view(rest) != "Z") return std::nullopt;
  return static_cast<Nanos>(timegm(&utc)) * 1'000'000'000 + fraction;
}

std::optional<Nanos> MomentOption(const char* command, const std::string& text) {
  if (text.empty()) return 0;
  const auto time = ParseMoment(text);
  if (!time) {
    std::fprintf(stderr,
                 "sallyport %s: \"%s\" is no time; write 2026-11-21 or 2026-11-21T12:00:00Z\n",
                 command, text.c_str());
  }
  return time;
}

}  // namespace sallyport::app
