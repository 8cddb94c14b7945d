#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/result.h"

namespace sallyport::net {

/// A child that was started; the descriptors are non-blocking, close-on-exec and the caller's.
struct Spawned {
  int pid = -1;     // also its process group
  int pidfd = -1;   // readable when it has exited
  int input = -1;   // its stdin
  int output = -1;  // its stdout
  int errors = -1;  // its stderr
};

struct SpawnOptions {
  std::vector<std::string> argv;
  std::map<std::string, std::string> environment;
  std::string directory;
  uint64_t memory_limit = 0;
};

/// Starts a process: its own group, exactly this environment, no descriptor but the three pipes,
/// default signals, no core file, no new privileges, and SIGKILL when the calling thread dies.
/// Waits for the exec (about a millisecond). upstream_unreachable with the program and the system's
/// reason.
Result<Spawned> SpawnChild(const SpawnOptions& options);

}  // namespace sallyport::net
