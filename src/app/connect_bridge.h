#pragma once

#include <boost/asio/cancellation_signal.hpp>
#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "app/connect_gate.h"
#include "app/connect_lines.h"
#include "mcp/client_message.h"
#include "mcp/header_check.h"
#include "net/event.h"

namespace sallyport::app {

/// Carries the messages of one MCP client on standard input and output to the gate's Streamable
/// HTTP endpoint and back, in both eras (MCP 2025-11-25 and before: a session with a stream of its
/// own; 2026-07-28: one POST for each request). Which era a message is of, it says itself. Ids and
/// texts go through as they are.
///
/// Every request gets exactly one answer, unless the client cancelled it: where there is none to be
/// had, a JSON-RPC error of this program. Nothing ends it but the client: a person who is not
/// signed in, a gate that is down or was started anew are told of and got over.
///
/// Lives on one shard; kept alive by what still runs.
class ConnectBridge : public std::enable_shared_from_this<ConnectBridge> {
 public:
  /// `taken` is told of the size of each line that was dealt with; `client_gone` once, when nobody
  /// reads standard output any more.
  ConnectBridge(boost::asio::any_io_executor executor, AtGate gate, std::string connection,
                std::function<void(size_t)> taken, std::function<void()> client_gone);

  /// On the shard: a line of the client; a line that was too long; the end of its input.
  void Line(std::string line) { lines_.Push(std::move(line)); }
  void TooLong();
  void End() { lines_.Close(); }

  /// Deals with lines until the end of the input, lets what runs have a moment, ends the session at
  /// the gate.
  boost::asio::awaitable<void> Run();
  /// Cancels what runs and ends the session at the gate, within about a second.
  Task<> Close();

 private:
  /// A line and what was read from it; never moves.
  struct Message {
    std::string text;
    json::Document document;
    mcp::ClientMessage read;
    Message() = default;
    Message(const Message&) = delete;
  };
  using MessagePtr = std::shared_ptr<const Message>;
  /// A request of the client that has no answer yet.
  struct Flight {
    boost::asio::cancellation_signal signal;
    bool cancelled = false, modern = false;
    std::chrono::steady_clock::time_point begun = std::chrono::steady_clock::now();
  };
  using FlightPtr = std::shared_ptr<Flight>;

  // connect_bridge.cc
  boost::asio::awaitable<void> Take(std::string line);
  boost::asio::awaitable<void> Take(MessagePtr message);
  void Begin(MessagePtr message, bool modern);
  boost::asio::awaitable<void> Ask(MessagePtr message, FlightPtr flight);
  void CancelFlight(const FlightPtr& flight);
  /// Writes a message of the gate. True if it is the answer to `raw_id`.
  bool Deliver(std::string text, std::string_view raw_id);
  void Emit(std::string message);
  /// An error for a request that still waits.
  void Answer(std::string_view raw_id, std::string_view error);
  void Refuse(std::string_view raw_id, const Error& error);
  void RefuseStatus(std::string_view raw_id, const mcp::HttpReply& reply);
  void Say(std::string what);
  /// All of a reply that is no stream: its answer, or an error made of its status.
  Task<> Finish(mcp::HttpReply& reply, std::string_view raw_id);

  // connect_session.cc
  Task<> AskSession(const Message& message);
  Task<> Initialize(const Message& message);
  /// Opens the session anew that the gate does not know any more, as the client had opened it.
  Task<> Reopen(uint64_t generation);
  Task<> Follow(std::unique_ptr<mcp::HttpReply> reply, std::string raw_id);
  boost::asio::awaitable<void> Listen(uint64_t generation);
  Task<> PostOneWay(std::string text);
  void Remember(const mcp::ClientMessage& message, const std::string& text);
  void TakeSession(const mcp::HttpReply& reply, std::string_view initialize_result);
  net::Headers SessionHeaders(bool post) const;

  // connect_modern.cc
  Task<> AskModern(const Message& message);
  Task<bool> TryModern(const Message& message, bool last);
  net::Headers ModernHeaders(const mcp::ClientMessage& message) const;
  /// What tools/list says of headers, from an answer that passes by or was asked for.
  void LearnTools(std::string_view result);
  Task<> FetchTools(const Message& call);

  const boost::asio::any_io_executor executor_;
  GateLink gate_;
  const std::function<void(size_t)> taken_;
  const std::function<void()> client_gone_;
  LineWriter out_{1};
  net::Queue<std::string> lines_;
  std::map<std::string, FlightPtr, std::less<>> flights_;  // by raw id
  bool closing_ = false;
  std::string said_;  // the last words on standard error, which are not repeated

  // The session of the eras that have one.
  std::string initialize_;  // the client's own, to open a session anew
  std::string session_id_, revision_;
  uint64_t generation_ = 0;  // of the session
  bool reopening_ = false;
  net::Event reopened_;
  std::map<std::string, std::string> kept_;  // what the client had set: log level, subscriptions

  std::map<std::string, mcp::ToolDefinition, std::less<>> tools_;  // 2026-07-28; for their headers
};

}  // namespace sallyport::app
