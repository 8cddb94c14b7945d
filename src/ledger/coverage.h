#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"

namespace sallyport::ledger {

/// A gateway that has nothing else to say says so this often (`log.heartbeat`), and a silence this
/// long is an outage.
inline constexpr std::chrono::seconds kHeartbeat{10}, kSilence{15};

/// When a log was written, and when not (PCI DSS 10.2.1, 10.2.1.6, 10.7.2).
struct Coverage {
  static constexpr size_t kMostSessions = 100;  // listed of one failure
  struct Outage {
    Nanos from = 0, to = 0;
    std::string cause;
    uint64_t before = 0, after = 0;  // indexes of the entries around it; equal at an end
  };
  struct Failure {  // of a control, control.failed to control.restored
    std::string control, cause;
    Nanos from = 0, to = 0;  // `to` 0: not restored
    uint64_t index = 0;
    uint64_t operations = 0;               // admitted meanwhile
    uint64_t sessions = 0;                 // that were open meanwhile
    std::vector<std::string> session_ids;  // the first kMostSessions of them
  };
  struct Step {
    Nanos at = 0;
    std::string by;
    uint64_t index = 0;
  };
  /// A session whose end counts more operations than the log has, or other ones.
  struct Miscount {
    uint64_t session = 0;  // index of its entry
    uint64_t said = 0, found = 0;
  };

  Nanos from = 0, to = 0;
  uint64_t entries = 0;  // in the period
  uint64_t sessions = 0, operations = 0;
  uint64_t heartbeats = 0, synchronized = 0;  // of those, with a synchronized clock
  std::vector<Outage> outages;
  std::vector<Failure> failures;
  std::vector<Step> steps;
  std::vector<Miscount> miscounts;

  /// Every second of the period is covered, and every session that ended is whole.
  bool whole() const { return outages.empty() && miscounts.empty(); }
  std::string Text() const;
  std::string Json() const;  // one line
};

/// Reads the log from its beginning; verifies nothing (see verify.h). `from` 0: the first entry;
/// `to` 0: the last one. not_found: no log, or no entry in the period.
Result<Coverage> Cover(const std::filesystem::path& data_dir, Nanos from, Nanos to);

}  // namespace sallyport::ledger
