#include <algorithm>
#include <chrono>

#include "ledger/coverage.h"
#include "review/entries.h"

// What of an entry is counted where: the one place to add an event to the review.

namespace sallyport::review {
namespace {

constexpr size_t kNotes = 200, kNames = 5000;

std::string Text(const json::Value& value) { return std::string(value.string().value_or("")); }

void Keep(std::set<std::string>& names, std::string name) {
  if (!name.empty() && names.size() < kNames) names.insert(std::move(name));
}

void Count(std::map<std::string, uint64_t>& counts, const std::string& name, uint64_t n = 1) {
  if (n == 0) return;
  if (!name.empty() && (counts.size() < kNames || counts.contains(name))) counts[name] += n;
}

std::string NameOf(const Entries::Who* who) {
  if (who == nullptr) return {};
  return who->agent.empty() ? who->person : "agent " + who->agent;
}

}  // namespace

void Counter::Note(const Entries::One& one, std::string kind, std::string text) {
  if (day_.notes.size() >= kNotes) {
    ++day_.notes_left_out;
    return;
  }
  day_.notes.push_back({std::move(kind), std::move(text), one.index});
}

void Counter::Admin(const Entries::One& one, const std::string& by) {
  ++day_.figures["admin_actions"];
  Count(day_.admin_actions, one.entry->event + (by.empty() ? "" : " by " + by));
}

void Counter::CountMasked(const json::Value& root) {
  for (auto one = root["mask"].first(); one; one = one.next()) {
    const uint64_t n = uint64_t(std::max<int64_t>(0, one["n"].integer().value_or(0)));
    const std::string kind = Text(one["k"]);
    if (kind == "pan") Count(day_.figures, "masked_pan", n);
    if (kind == "sad") Count(day_.figures, "masked_sad", n);
  }
}

void Counter::CountCall(const Entries::One& one, const json::Value& root) {
  const std::string& event = one.entry->event;
  const std::string who = NameOf(one.who);
  if (event == "call.intent" || event == "call.denied") {
    Keep(day_.tools, Text(root["c"]) + "/" + Text(root["r"]));
    Keep(day_.connections, Text(root["c"]));
    Count(day_.operations_by_person, who);
  }
  if (event == "call.intent") {
    ++day_.figures["operations"];
  } else if (event == "call.denied") {
    if (root["x"].string() == "approve") {
      ++day_.figures["held"];
      return;
    }
    ++day_.figures["denied"];
    Count(day_.denied_by_person, who);
    Count(day_.denied_by_reason, Text(root["why"]));
    for (auto rule = root["rules"].first(); rule; rule = rule.next())
      Count(day_.denied_by_rule, Text(rule));
  } else if (event == "call.outcome") {
    if (root["ok"].boolean() == false) ++day_.figures["failed_operations"];
    const uint64_t clear = uint64_t(std::max<int64_t>(0, root["um"]["n"].integer().value_or(0)));
    if (clear > 0) {
      Count(day_.figures, "unmasked_values", clear);
      Note(one, "unmasked", who + " got " + std::to_string(clear) + " values in clear");
    }
  } else if (event == "call.abandoned") {
    ++day_.figures["abandoned"];
  }
}

void Counter::CountOther(const Entries::One& one, const json::Value& root) {
  const std::string& event = one.entry->event;
  const bool failed = root["ok"].boolean() == false;
  const std::string resource = Text(root["r"]), detail = Text(root["detail"]);
  const std::string by = Text(root["acc"]["by"]);
  if (event == "auth.success") {
    ++day_.figures["sessions"];
    if (one.who != nullptr) {
      Keep(day_.persons, one.who->person);
      Keep(day_.agents, one.who->agent);
    }
  } else if (event == "auth.failure") {
    ++day_.figures["failed_logins"];
    Count(day_.failed_logins, Text(root["why"]));
  } else if (event == "request.refused") {
    ++day_.figures["refused"];
  } else if (event == "approval.decided") {
    if (!failed) ++day_.figures[root["ap"]["vote"].string() == "approve" ? "approved" : "rejected"];
  } else if (event == "evidence.read") {
    ++day_.figures["evidence_readings"];
  } else if (event == "control.failed") {
    ++day_.figures["control_failures"];
    Note(one, "control", resource + " failed: " + detail);
  } else if (event == "bypass.found" && failed) {
    ++day_.figures["bypass_found"];
    const json::Value facts = root["facts"];
    Note(one, "bypass",
         Text(facts["user"]) + " reached " + resource + " from " +
             (Text(facts["address"]).empty() ? "a socket" : Text(facts["address"])) +
             " without the gateway");
  } else if (event == "integrity.checked" && failed) {
    Note(one, "integrity", detail);
  } else if (event == "scan.made" && failed) {
    Note(one, "scan", "card numbers or sensitive authentication data at rest: " + detail);
  } else if (event == "drill.made" && failed) {
    Note(one, "drill", resource + ": " + detail);
  } else if (event == "column.found") {
    Note(one, "column", "card numbers in " + resource + ", which nobody classified");
  } else if (event == "tool.changed") {
    Note(one, "tool", resource + " of " + Text(root["c"]) + " is not what it was");
  } else if (event == "log.recovered" || event == "log.failed" || event == "clock.stepped") {
    Note(one, "log", event + ": " + detail);
  } else if (event == "config.loaded" || event == "config.refused" || event == "policy.adopted") {
    Admin(one, by);
    if (event == "config.refused") Note(one, "configuration", "a configuration was refused");
  } else if (event == "session.killed") {
    if (by != "expiry" && by != "person") Admin(one, by);
  } else if (event.starts_with("passkey.") || event.starts_with("recording.") ||
             event == "key.destroyed" || event == "card.looked_up" || event == "review.signed") {
    Admin(one, by);
    if (event == "key.destroyed" || event == "card.looked_up")
      Note(one, "keys", event + " " + resource + (by.empty() ? "" : " by " + by));
  }
}

/// Nothing was written for longer than a heartbeat takes.
void Counter::Silence(Nanos to, uint64_t index) {
  const Nanos silent = to - before_;
  if (silent <= std::chrono::nanoseconds(ledger::kSilence).count()) return;
  const uint64_t seconds = uint64_t(silent / 1'000'000'000);
  day_.figures["silent_seconds"] += seconds;
  Entries::One one;
  one.index = index;
  Note(one, "coverage",
       "nothing was recorded for " + std::to_string(seconds) + " s from " + FormatUtc(before_) +
           " on");
}

void Counter::Add(const Entries::One& one) {
  // What lies before the log's first entry is no silence.
  if (day_.entries++ == 0) {
    day_.first = one.index;
    if (one.index == 0) before_ = one.entry->at;
  }
  if (one.entry->event == "clock.stepped") before_ = one.entry->at;
  Silence(one.entry->at, one.index);
  before_ = std::max(before_, one.entry->at);
  day_.last = one.index;
  Count(day_.events, one.entry->event);
  const auto root = one.entry->document.root();
  CountMasked(root);
  if (one.entry->event.starts_with("call."))
    CountCall(one, root);
  else
    CountOther(one, root);
}

void Counter::Finish(Nanos until) {
  if (day_.entries > 0) Silence(until, day_.last);
  for (const auto& [name, count] : day_.operations_by_person) {
    if (count > 0) ++day_.figures["persons"];
  }
}

}  // namespace sallyport::review
