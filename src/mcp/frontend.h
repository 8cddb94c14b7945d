#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/error.h"
#include "config/schema.h"
#include "credential/credential.h"
#include "gate/gate.h"
#include "identity/verifier.h"
#include "mask/masker.h"
#include "mcp/upstream.h"
#include "net/http_server.h"
#include "net/shards.h"

namespace sallyport::mcp {

/// A configured MCP connection and how to reach its server.
struct FrontendConnection {
  config::Connection config;
  /// Makes the upstream of one shard; called on that shard, when it is first needed.
  std::function<std::unique_ptr<McpUpstream>(size_t shard, boost::asio::any_io_executor executor)>
      upstream;
  /// What the upstream's credential keeps of callers ends with them; null: it keeps nothing.
  credential::CredentialPtr credential;
};

/// What can change while serving.
struct FrontendSettings {
  std::shared_ptr<const mask::Masker> masker;
  config::ServerLimits limits;
  std::vector<std::string> allowed_origins, allowed_hosts;
};

/// What the front-end is built of. References must outlive it.
struct FrontendOptions {
  gate::Gate& gate;
  net::Shards& shards;
  identity::TokenVerifier& verifier;
  const Clock& clock;
  std::string public_url;            // scheme://host[:port], no path
  std::vector<std::string> issuers;  // authorization servers, for RFC 9728
  std::vector<std::string> scopes;   // of the resource, may be empty
  bool advertise_dpop = false;       // refusals and metadata say that proofs are understood
  std::filesystem::path state_dir;   // pins and the key of sealed handles
  size_t record_bytes = 16 << 10;    // recorded of one message
  std::vector<FrontendConnection> connections;
  FrontendSettings settings;
};

/// Numbers for /metrics and tests.
struct FrontendStats {
  size_t sessions = 0;  // of the session eras
  size_t callers = 0;   // cached op::Sessions of modern callers
  size_t parked = 0;    // calls that wait for a client's answer
};

/// The MCP front-end: POST, GET and DELETE on /mcp/<connection> in every protocol revision, and the
/// resource metadata of RFC 9728. Every request is authenticated, becomes an op::Operation, goes
/// through the gate, and its answer through the masker. docs/mcp.md says what is spoken,
/// docs/life-of-a-tool-call.md shows the path.
class Frontend {
 public:
  /// config_invalid, io_failed (state directory).
  static Result<std::unique_ptr<Frontend>> Make(FrontendOptions options);
  /// After the shards have stopped.
  ~Frontend();

  /// Answers one exchange, on the shard it arrived at.
  boost::asio::awaitable<void> Handle(net::HttpExchange& exchange);

  /// For requests from now on; running calls keep what they began with. Thread-safe.
  void Reload(FrontendSettings settings);
  /// Ends the streams that would stay open for ever (subscriptions/listen with its result, the GET
  /// streams of sessions by their end), and opens none any more; calls go on. Returns at once; any
  /// thread.
  void EndStreams();
  /// Ends all sessions and streams (records session_close) and refuses new requests with
  /// `draining`. Returns at once; any thread.
  void CloseAll();
  struct Killed {
    size_t sessions = 0, streams = 0, calls = 0;
  };
  /// Ends all that callers have of whom `which` is true: sessions, streams, calls in progress; each
  /// client is told why. Returns at once; `done` (may be null) runs on a shard when all has ended.
  /// Any thread.
  void Kill(std::function<bool(const op::Principal&)> which, Error why,
            std::function<void(Killed)> done);
  /// Ends the streams only: a session of the gateway's own is locked.
  void EndStreamsFor(std::function<bool(const op::Principal&)> which, Error why);
  /// Ends what callers have at connections where no rule lets them do anything any more.
  void EndWithoutRules();
  /// Ends what rests on credentials that have expired. Several times a second, from any thread.
  void EndExpired();
  /// Closes what nobody used for too long. About once a second, from any thread.
  void Tick();
  FrontendStats stats() const;

 private:
  struct Impl;
  explicit Frontend(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace sallyport::mcp
