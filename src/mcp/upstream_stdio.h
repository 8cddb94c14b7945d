#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "mcp/upstream.h"
#include "net/process.h"

namespace sallyport::mcp {

/// What a stdio upstream is made of.
struct StdioUpstreamOptions {
  boost::asio::any_io_executor executor;  // of the shard
  std::string name;                       // of the connection, for the log
  std::vector<std::string> command;       // argv; never through a shell
  /// The configured environment; called when a process starts, so that secrets are revealed only
  /// then. Beside it the process gets PATH and LANG and nothing else of ours.
  std::function<std::map<std::string, std::string>()> environment;
  std::string directory;
  uint64_t memory_limit = 0;  // bytes, 0: none
  uint64_t message_bytes = 32u << 20;
  size_t processes = 64;  // alive at once; more is limit_exceeded
  std::chrono::milliseconds call_timeout{300'000};
  std::chrono::milliseconds describe_timeout{30'000};
  std::chrono::milliseconds probe_timeout{
      10'000};                                 // silence after server/discover means `initialize`
  std::chrono::milliseconds grace{2'000};      // between SIGTERM and SIGKILL
  std::chrono::milliseconds first_pause{100};  // before a start after a death; doubles up to 30 s
  /// How a process is started; tests put their own here.
  std::function<Result<std::unique_ptr<net::Process>>(net::Process::Options)> start;
};

/// An upstream that is a program: newline-delimited JSON-RPC on its standard input and output.
/// Lives on one shard, outlives its peers.
///
/// A server of 2026-07-28 is stateless, so all peers share one process; what it says without naming
/// a request (no progress token, no subscription id) cannot be told apart between callers and is
/// dropped. A server of the session eras gets a process for each peer, from its first call to
/// Close. A process that dies fails the calls in it with upstream_closed and is started again when
/// next needed, after a pause that doubles with each death. One that writes what is no JSON-RPC, or
/// stays silent through a whole call, is killed. Errors otherwise as for the HTTP upstream.
std::unique_ptr<McpUpstream> MakeStdioUpstream(StdioUpstreamOptions options);

}  // namespace sallyport::mcp
