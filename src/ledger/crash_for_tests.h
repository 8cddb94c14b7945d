#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

namespace sallyport::ledger {

struct CrashResult {
  uint64_t rounds = 0;
  uint64_t acknowledged = 0;  // entries over all rounds
  uint64_t strict = 0;        // of them with strict durability
  std::string failure;        // empty: nothing acknowledged was lost, and every log verified
};

/// `rounds` times: a child process writes under load from four threads, telling each acknowledged
/// index and entry through a pipe; it is killed with SIGKILL after a random time; the log is
/// verified as it lies, read, opened again, and verified again. All rounds continue one log in
/// `dir`.
CrashResult RunCrashes(const std::filesystem::path& dir, uint64_t rounds, uint64_t seed);

}  // namespace sallyport::ledger
