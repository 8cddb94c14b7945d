#pragma once

#include <chrono>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "gate/gate.h"
#include "identity/verified_token.h"
#include "mcp/call_stream.h"
#include "mcp/caller_load.h"
#include "mcp/connection.h"
#include "mcp/upstream.h"
#include "net/event.h"

namespace sallyport::mcp {

struct Call;

/// A protocol session of the session eras (2025-03-26 to 2025-11-25). It belongs to one principal
/// at one connection and lives on one shard; its id names the shard.
struct LegacySession {
  /// A request of the server that the client has not answered yet.
  struct Question {
    explicit Question(boost::asio::any_io_executor executor) : answered(executor) {}
    net::Event answered;
    std::optional<UpstreamAnswer> answer;
  };

  std::string id;
  Connection* connection = nullptr;
  boost::asio::any_io_executor executor;
  std::string principal;  // PrincipalKey
  Revision revision = Revision::r2025_11_25;
  ClientFace face;
  std::shared_ptr<const op::Session> session;
  identity::VerifiedPtr credential;  // the latest that was shown
  std::shared_ptr<UpstreamPeer> peer;
  std::shared_ptr<CallerLoad> load;
  LoadSlot slot;
  std::chrono::steady_clock::time_point used;
  Nanos authenticated_until = 0;  // the latest end of a credential that was shown
  bool closed = false;
  bool listening = false;  // a Listen upstream is running

  std::map<std::string, std::weak_ptr<Call>> calls;            // by the client's id as written
  std::map<std::string, std::shared_ptr<Question>> questions;  // by our id as written
  std::map<uint64_t, std::shared_ptr<CallStream>> streams;     // kept for Last-Event-ID
  std::deque<std::pair<uint64_t, std::shared_ptr<CallStream>>>
      listeners;                    // GET streams, newest last
  std::deque<std::string> backlog;  // for the next GET stream
  uint64_t next_stream = 1;
  uint64_t next_question = 1;

  /// Keeps a stream for resumption, within a bound; returns its number.
  uint64_t KeepStream(std::shared_ptr<CallStream> stream);
  /// Puts a message that belongs to no call on exactly one GET stream, or keeps it for the next
  /// one.
  Task<> Tell(std::string message, size_t keep);
  /// Sends a request to the client on `stream` (null: a GET stream) and waits for the answer that a
  /// later POST brings.
  Task<UpstreamAnswer> Ask(std::shared_ptr<CallStream> stream, std::string method,
                           std::string params, std::chrono::milliseconds limit, size_t keep);
  /// Ends everything that belongs to the session. Idempotent.
  void Close(gate::Gate& gate);
};
using LegacySessionPtr = std::shared_ptr<LegacySession>;

}  // namespace sallyport::mcp
