#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"

namespace sallyport::review {

inline constexpr Nanos kDay = Nanos{86'400} * 1'000'000'000;

/// "2026-11-21" → its first nanosecond, UTC; request_malformed for anything else.
Result<Nanos> StartOfDay(const std::string& date);
std::string DateOf(Nanos at);

/// What one day of the log says, as figures and names: what a review is made of, and what later
/// days are compared with. Everything here was masked before it was written to the log.
struct Day {
  /// Something that somebody has to look at whatever other days were like.
  struct Note {
    std::string kind;    // "control", "bypass", "integrity", …
    std::string text;    // one line
    uint64_t index = 0;  // of its entry
    bool operator==(const Note&) const = default;
  };

  std::string date;
  uint64_t entries = 0;
  uint64_t first = 0, last = 0;             // indexes, if there are entries
  std::map<std::string, uint64_t> events;   // by name of the event
  std::map<std::string, uint64_t> figures;  // see kFigures
  std::map<std::string, uint64_t> denied_by_rule, denied_by_person, denied_by_reason;
  std::map<std::string, uint64_t> failed_logins;  // by reason
  std::map<std::string, uint64_t> operations_by_person;
  std::map<std::string, uint64_t> admin_actions;  // by event, and person where one is named
  std::set<std::string> persons, agents, connections, tools;  // tools: connection/name
  std::vector<Note> notes;
  uint64_t notes_left_out = 0;
};

/// The names of Day::figures, each with what it counts. Deviations are looked for in these.
struct Figure {
  std::string_view name, means;
};
const std::vector<Figure>& Figures();

/// Reads the entries of one day; an entry belongs to the day of its own time. Verifies nothing.
/// not_found: no log. A day without entries is an empty Day.
Result<Day> ReadDay(const std::filesystem::path& data_dir, const std::string& date);

/// For the files that keep what was counted, so that a baseline is not read anew each day.
std::string DayToJson(const Day& day);
Result<Day> DayFromJson(std::string_view text);

}  // namespace sallyport::review
