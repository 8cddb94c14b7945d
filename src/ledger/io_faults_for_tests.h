#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

namespace sallyport::ledger {

struct IoFaults {
  uint64_t runs = 0;          // with at least one fault
  uint64_t faults = 0;        // operations that failed or wrote a part
  uint64_t refused_open = 0;  // runs in which the log did not open
  uint64_t poisoned = 0;      // in which the ledger failed while it was used
  uint64_t sent = 0;          // calls that went to the upstream
  uint64_t released = 0;      // results that went to the client
  uint64_t withheld = 0;      // calls refused, and results not given away
  std::string failure;        // the first one
};

/// Lets an operation of the writer fail, the first, the second and so on, with EIO or ENOSPC or by
/// writing a part, once or from then on, in `runs` runs. Above the ledger stands a gate
/// in small: what goes to its upstream goes after the intent was recorded, what goes to its client
/// after the outcome was. Each time the log is then opened on a disk that works, after the death of
/// the process and after a power cut: every byte that went somewhere must have its entry.
IoFaults RunIoFaults(const std::filesystem::path& directory, uint64_t runs, uint64_t seed);

}  // namespace sallyport::ledger
