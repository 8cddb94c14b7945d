#include "ledger/coverage.h"

#include <algorithm>
#include <cstdio>
#include <map>
#include <set>

#include "ledger/entry.h"
#include "ledger/object_writer.h"
#include "ledger/reader.h"
#include "ledger/render.h"

namespace sallyport::ledger {
namespace {

constexpr Nanos kSilent = std::chrono::nanoseconds(kSilence).count();

/// Why nothing was written between two entries.
std::string CauseOf(const std::string& before, const std::string& after) {
  if (before.empty()) return "the log had not begun";
  if (before == "log.stop") return "stopped";
  if (before == "log.failed") return "the log could not be written";
  if (after == "log.start" || after == "log.recovered")
    return "ended without a word: killed, crashed, or without power";
  if (after.empty()) return "nothing was written since";
  return "nothing was written although the process ran";
}

class Scan {
 public:
  Scan(Nanos from, Nanos to) : given_from_(from), given_to_(to) {}

  void Add(uint64_t index, std::string_view bytes) {
    const Result<Entry> entry = DecodeEntry(bytes);
    if (!entry) return;  // a verifier's business
    const auto root = entry->document.root();
    Nanos at = entry->at;
    if (entry->event == "clock.stepped") previous_ = at;  // no silence, no time travel
    Follow(index, *entry, root);
    const bool inside = at >= given_from_ && (given_to_ == 0 || at < given_to_);
    if (inside) {
      if (out_.entries == 0) Begin(index, at);
      if (at - previous_ > kSilent) Silence(previous_, at, index, entry->event);
      Count(index, *entry, root);
      last_ = index;
    } else if (out_.entries > 0 && at >= given_to_ && !over_) {
      over_ = true;
      End(given_to_, index, entry->event);
    }
    previous_ = std::max(previous_, at);
    if (entry->event == "clock.stepped") previous_ = at;
    before_ = entry->event;
    if (inside || out_.entries == 0) last_ = index;
  }

  Result<Coverage> Take(Nanos now) {
    if (out_.entries == 0) return Fail(Errc::not_found, "the log has no entry in this period");
    out_.from = given_from_ != 0 ? given_from_ : out_.from;
    out_.to = given_to_ != 0 ? std::min(given_to_, now) : previous_;
    if (!over_) End(out_.to, last_, "");
    return std::move(out_);
  }

 private:
  void Begin(uint64_t index, Nanos at) {
    out_.from = at;
    if (given_from_ == 0 || (before_.empty() && at - given_from_ <= kSilent)) {
      previous_ = at;
    } else if (before_.empty()) {
      Silence(given_from_, at, index, "");
      previous_ = at;
    } else {
      previous_ = std::max(previous_, given_from_ - kSilent);
    }
  }
  void Silence(Nanos from, Nanos to, uint64_t after, const std::string& event) {
    out_.outages.push_back(
        {std::max(from, given_from_), to, CauseOf(before_, event), last_, after});
  }
  void End(Nanos at, uint64_t index, const std::string& event) {
    if (at - previous_ > kSilent) Silence(previous_, at, index, event);
  }

  /// Which sessions are open, from the beginning of the log on.
  void Follow(uint64_t index, const Entry& entry, const json::Value& root) {
    if (entry.event == "auth.success") {
      const std::string& id =
          ids_.emplace(index, std::string(root["sid"].string().value_or(""))).first->second;
      for (Coverage::Failure& failure : out_.failures) {
        if (failure.to == 0) Touch(failure, id);
      }
    } else if (entry.event == "session.close" && entry.has_session) {
      ids_.erase(entry.session);
    } else if (entry.event == "log.start") {
      ids_.clear();  // those of a process that ended without a word ended with it
    }
  }
  static void Touch(Coverage::Failure& failure, const std::string& session) {
    ++failure.sessions;
    if (failure.session_ids.size() < Coverage::kMostSessions)
      failure.session_ids.push_back(session);
  }

  void Count(uint64_t index, const Entry& entry, const json::Value& root) {
    ++out_.entries;
    const std::string& event = entry.event;
    const auto text = [&](std::string_view key) {
      return std::string(root[key].string().value_or(""));
    };
    if (event == "auth.success") {
      ++out_.sessions;
      open_.emplace(index, std::set<uint64_t>());
    } else if (event == "call.intent" || event == "call.denied") {
      ++out_.operations;
      for (Coverage::Failure& failure : out_.failures) {
        if (failure.to == 0 && event == "call.intent") ++failure.operations;
      }
      if (const auto session = open_.find(entry.session);
          entry.has_session && session != open_.end())
        session->second.insert(uint64_t(root["n"].integer().value_or(0)));
    } else if (event == "session.close") {
      Close(entry, uint64_t(root["count"].integer().value_or(0)));
    } else if (event == "log.heartbeat") {
      ++out_.heartbeats;
      if (text("detail").starts_with("clock synchronized")) ++out_.synchronized;
    } else if (event == "clock.stepped") {
      out_.steps.push_back({entry.at, text("detail"), index});
      NotSilence(entry.at, text("detail"));
    } else if (event == "control.failed") {
      out_.failures.push_back({.control = text("r"),
                               .cause = text("detail"),
                               .from = entry.at,
                               .index = index,
                               .session_ids = {}});
      for (const auto& [opened, id] : ids_) Touch(out_.failures.back(), id);
    } else if (event == "control.restored" || event == "log.start") {
      // A start begins with no failure known: what still fails says so again.
      for (Coverage::Failure& failure : out_.failures) {
        if (failure.to == 0 && (event == "log.start" || failure.control == text("r")))
          failure.to = entry.at;
      }
    }
  }

  /// What was written between the step and its entry seemed to come after a silence.
  void NotSilence(Nanos at, const std::string& by) {
    double seconds = 0;
    if (std::sscanf(by.c_str(), "by %lf s", &seconds) != 1 || seconds <= 0) return;
    std::erase_if(out_.outages, [&](const Coverage::Outage& o) {
      return at - o.to < kSilent && double(o.to - o.from) / 1e9 < seconds + 2;
    });
  }

  void Close(const Entry& entry, uint64_t said) {
    const auto session = open_.find(entry.session);
    if (!entry.has_session || session == open_.end()) return;  // began before the period
    const std::set<uint64_t>& seen = session->second;
    if (seen.size() != said || (said > 0 && (*seen.begin() != 1 || *seen.rbegin() != said)))
      out_.miscounts.push_back({session->first, said, seen.size()});
    open_.erase(session);
  }

  const Nanos given_from_, given_to_;
  Coverage out_;
  Nanos previous_ = 0;  // time of the entry before
  std::string before_;  // its event
  uint64_t last_ = 0;
  bool over_ = false;
  std::map<uint64_t, std::string> ids_;          // of all sessions that are open
  std::map<uint64_t, std::set<uint64_t>> open_;  // session → numbers of its operations
};

std::string Seconds(Nanos from, Nanos to) {
  char text[40];
  std::snprintf(text, sizeof text, "%.1f s", double(to - from) / 1e9);
  return text;
}

std::string Moment(Nanos at) { return FormatUtc(at).substr(0, 19) + 'Z'; }

}  // namespace

Result<Coverage> Cover(const std::filesystem::path& data_dir, Nanos from, Nanos to) {
  SALLYPORT_TRY(LogReader log, LogReader::Open(data_dir));
  Scan scan(from, to);
  SALLYPORT_CHECK(
      log.ForEach(0, log.size(), [&](uint64_t index, std::string_view entry) -> Result<bool> {
        scan.Add(index, entry);
        return true;
      }));
  return scan.Take(SystemClock().WallNow());
}

std::string Coverage::Text() const {
  std::string out;
  for (const Outage& o : outages) {
    out += "OUTAGE " + Moment(o.from) + " to " + Moment(o.to) + ", " + Seconds(o.from, o.to) +
           ", entries " + std::to_string(o.before) + " to " + std::to_string(o.after) + ": " +
           o.cause + '\n';
  }
  for (const Miscount& m : miscounts) {
    out += "GAP session of entry " + std::to_string(m.session) + ": its end counts " +
           std::to_string(m.said) + " operations, the log has " + std::to_string(m.found) + '\n';
  }
  for (const Failure& f : failures) {
    out += "control " + Printable(f.control) + " failed " + Moment(f.from) + " to " +
           (f.to == 0 ? std::string("now") : Moment(f.to) + ", " + Seconds(f.from, f.to)) +
           ", entry " + std::to_string(f.index) + ", " + std::to_string(f.operations) +
           " operations in " + std::to_string(f.sessions) +
           " sessions meanwhile: " + Printable(f.cause) + '\n';
  }
  for (const Step& s : steps) {
    out += "clock set " + Moment(s.at) + ", entry " + std::to_string(s.index) + ": " +
           Printable(s.by) + '\n';
  }
  out += (whole() ? "covered: " : "NOT covered: ") + Moment(from) + " to " + Moment(to) + ", " +
         std::to_string(entries) + " entries, " + std::to_string(sessions) + " sessions, " +
         std::to_string(operations) + " operations, " + std::to_string(outages.size()) +
         " outages\n";
  if (heartbeats > 0) {
    out += "The clock was synchronized at " + std::to_string(synchronized) + " of " +
           std::to_string(heartbeats) + " heartbeats.\n";
  }
  return out;
}

std::string Coverage::Json() const {
  std::string out;
  ObjectWriter object(out);
  const auto list = [&](std::string_view key, const auto& items, auto write) {
    std::string& text = object.Key(key);
    text += '[';
    for (size_t i = 0; i < items.size(); ++i) {
      if (i > 0) text += ',';
      ObjectWriter item(text);
      write(item, items[i]);
      item.Close();
    }
    text += ']';
  };
  object.Flag("whole", whole());
  object.Text("from", FormatUtc(from));
  object.Text("to", FormatUtc(to));
  object.Number("entries", entries);
  object.Number("sessions", sessions);
  object.Number("operations", operations);
  object.Number("heartbeats", heartbeats);
  object.Number("clock_synchronized", synchronized);
  list("outages", outages, [](ObjectWriter& o, const Outage& x) {
    o.Text("from", FormatUtc(x.from)), o.Text("to", FormatUtc(x.to));
    o.Number("seconds", (x.to - x.from) / 1'000'000'000);
    o.Number("before", x.before), o.Number("after", x.after), o.Text("cause", x.cause);
  });
  list("control_failures", failures, [](ObjectWriter& o, const Failure& x) {
    o.Text("control", x.control), o.Text("from", FormatUtc(x.from));
    if (x.to != 0) {
      o.Text("to", FormatUtc(x.to));
      o.Number("seconds", (x.to - x.from) / 1'000'000'000);
    }
    o.Number("index", x.index), o.Number("operations", x.operations);
    o.Number("sessions", x.sessions), o.Texts("session_ids", x.session_ids);
    o.Text("cause", x.cause);
  });
  list("clock_steps", steps, [](ObjectWriter& o, const Step& x) {
    o.Text("at", FormatUtc(x.at)), o.Text("by", x.by), o.Number("index", x.index);
  });
  list("miscounts", miscounts, [](ObjectWriter& o, const Miscount& x) {
    o.Number("session", x.session), o.Number("said", x.said), o.Number("found", x.found);
  });
  object.Close();
  return out;
}

}  // namespace sallyport::ledger
