#include "review/day.h"

#include <algorithm>
#include <chrono>
#include <cstdio>

#include "review/entries.h"

namespace sallyport::review {

const std::vector<Figure>& Figures() {
  static const std::vector<Figure> kFigures{
      {"sessions", "sessions that were opened"},
      {"operations", "operations that were allowed"},
      {"denied", "operations that were denied"},
      {"held", "operations that waited for an approval"},
      {"refused", "requests that were refused before they became an operation"},
      {"failed_logins", "credentials that were refused"},
      {"failed_operations", "operations that ended in an error"},
      {"abandoned", "operations whose outcome is not known"},
      {"approved", "votes for a request"},
      {"rejected", "votes against a request"},
      {"unmasked_values", "values that somebody got in clear"},
      {"masked_pan", "card numbers that were masked"},
      {"masked_sad", "sensitive authentication data that was taken out"},
      {"admin_actions", "actions of administrators"},
      {"evidence_readings", "readings of the log"},
      {"persons", "people and agents that worked"},
      {"control_failures", "controls that failed"},
      {"bypass_found", "sessions at databases that were not the gateway's"},
      {"silent_seconds", "seconds in which nothing was recorded"},
  };
  return kFigures;
}

Result<Nanos> StartOfDay(const std::string& date) {
  int y = 0, m = 0, d = 0, end = 0;
  const bool read = date.size() == 10 &&
                    std::sscanf(date.c_str(), "%4d-%2d-%2d%n", &y, &m, &d, &end) == 3 && end == 10;
  const std::chrono::year_month_day day{std::chrono::year(y), std::chrono::month(unsigned(m)),
                                        std::chrono::day(unsigned(d))};
  if (!read || !day.ok() || y < 1970 || y > 2200 ||
      DateOf(std::chrono::sys_days(day).time_since_epoch().count() * kDay) != date)
    return Fail(Errc::request_malformed,
                "\"" + date.substr(0, 40) + "\" is no date: write 2026-11-21");
  return std::chrono::sys_days(day).time_since_epoch().count() * kDay;
}

std::string DateOf(Nanos at) {
  const std::chrono::sys_days days{std::chrono::days(at / kDay - (at % kDay < 0 ? 1 : 0))};
  const std::chrono::year_month_day day(days);
  char text[24];
  std::snprintf(text, sizeof text, "%04d-%02u-%02u", int(day.year()), unsigned(day.month()),
                unsigned(day.day()));
  return text;
}

Result<Day> ReadDay(const std::filesystem::path& data_dir, const std::string& date) {
  SALLYPORT_TRY(const Nanos from, StartOfDay(date));
  SALLYPORT_TRY(Entries entries, Entries::Open(data_dir));
  Day day;
  day.date = date;
  Counter counter(day, from);
  SALLYPORT_CHECK(
      entries.ForEach(from, from + kDay, [&](const Entries::One& one) { counter.Add(one); }));
  counter.Finish(std::min(from + kDay, entries.newest()));
  return day;
}

}  // namespace sallyport::review
