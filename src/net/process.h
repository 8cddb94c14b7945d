#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/task.h"

namespace sallyport::net {

/// A child process spoken to in lines: an MCP server over stdio. Started by argv (never by a shell), with
/// exactly the environment given, closed descriptors, its own process group and death signal, no new
/// privileges. Lives on one shard.
class Process {
 public:
  struct Options {
    std::vector<std::string> argv;               // argv[0] is a path, or found in PATH of this process
    std::map<std::string, std::string> environment;
    std::string directory;                       // empty: as is
    size_t line_limit = 16 << 20;                // a longer line is upstream_too_large
    uint64_t memory_limit = 0;                   // RLIMIT_AS in bytes, 0: none
    std::function<void(std::string_view)> on_stderr;  // a line of standard error, bounded
  };
  /// upstream_unreachable with the system's reason.
  static Result<std::unique_ptr<Process>> Start(boost::asio::any_io_executor executor, Options options);
  /// Closes stdin, then SIGTERM and SIGKILL to the group after a grace; reaped without blocking the shard.
  virtual ~Process() = default;

  /// The next line without its newline; nullopt at the end of stdout.
  virtual Task<std::optional<std::string>> ReadLine() = 0;
  /// Writes `line` and a newline.
  virtual Task<> WriteLine(std::string line) = 0;
  virtual void Terminate(std::chrono::milliseconds grace) = 0;
  virtual int pid() const = 0;
};

}  // namespace sallyport::net
