#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <string>

#include "ledger/entry.h"
#include "ledger/reader.h"
#include "review/day.h"

// How a day is read; internal to this module.

namespace sallyport::review {

/// The entries of a period with who caused them.
class Entries {
 public:
  /// Whose session it was: name (else subject), agent.
  struct Who {
    std::string person, agent;
  };
  struct One {
    uint64_t index = 0;
    const ledger::Entry* entry = nullptr;
    const Who* who = nullptr;  // null: no session
  };

  static Result<Entries> Open(const std::filesystem::path& data_dir);
  /// Time of the newest entry that ForEach has come upon.
  Nanos newest() const { return newest_; }
  /// Entries whose time lies in the period, in the order of the log. Where the clock was set, up to
  /// two hours, they need not be in the order of time.
  Result<> ForEach(Nanos from, Nanos to, const std::function<void(const One&)>& visit);

 private:
  Entries(ledger::LogReader log, ledger::LogReader other)
      : log_(std::move(log)), other_(std::move(other)) {}
  Result<uint64_t> FirstAt(Nanos at);
  Result<Nanos> TimeOf(uint64_t index);
  const Who* WhoOf(uint64_t session);

  ledger::LogReader log_, other_;  // in order; looked up
  std::map<uint64_t, Who> sessions_;
  Nanos newest_ = 0;
};

/// Who a Principal of an entry is.
Entries::Who ReadWho(const json::Value& who);

/// Counts entries into a Day.
class Counter {
 public:
  /// `from`: the day's first nanosecond.
  Counter(Day& day, Nanos from) : day_(day), before_(from) {}
  void Add(const Entries::One& one);
  /// `until`: the end of what there could be: of the day, or of the log.
  void Finish(Nanos until);

 private:
  void Silence(Nanos to, uint64_t index);
  void CountCall(const Entries::One& one, const json::Value& root);
  void CountOther(const Entries::One& one, const json::Value& root);
  void CountMasked(const json::Value& root);
  void Note(const Entries::One& one, std::string kind, std::string text);
  void Admin(const Entries::One& one, const std::string& by);

  Day& day_;
  Nanos before_;  // time of the entry before
};

}  // namespace sallyport::review
