#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

namespace sallyport::ledger {

struct CrashStates {
  uint64_t images = 0;
  uint64_t different = 0;     // of them
  uint64_t operations = 0;    // recorded
  uint64_t sessions = 0;      // recorded runs, of which
  uint64_t restarts = 0;      // began with what a crash had left
  uint64_t acknowledged = 0;  // entries that had to be found, over all images
  std::string failure;        // the first one: what, and the numbers that bring it back
};

/// Records what logs in use do to the disk, and opens the log in at least `images` of the states
/// that a crash at each of these moments may leave: after the death of the process, and after a
/// power cut with unsynced data lost, torn at 512 bytes and in any order, and unsynced names lost
/// or kept. Some of the states are run on, and cut again. `directory` should be in memory.
///
/// Each time the log must open, hold every entry that was acknowledged at the level that this kind
/// of crash leaves, continue the newest checkpoint that was published before, take another entry
/// and verify.
CrashStates RunCrashStates(const std::filesystem::path& directory, uint64_t images, uint64_t seed);

}  // namespace sallyport::ledger
