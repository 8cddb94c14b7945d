#pragma once

#include <deque>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>

#include "mcp/envelope.h"
#include "mcp/upstream_stdio.h"
#include "net/event.h"

namespace sallyport::mcp {

/// Messages for one reader, bounded in number and bytes. A flood is the sender's fault and spoils
/// this box only.
class MessageBox {
 public:
  MessageBox(boost::asio::any_io_executor executor, size_t bytes)
      : limit_(bytes), ready_(std::move(executor)) {}

  void Put(std::string message);
  /// No more messages; those there are can still be taken, then `why` is the error.
  void Close(Error why);
  /// The next message; upstream_too_large after a flood.
  Task<std::string> Take();

 private:
  static constexpr size_t kMessages = 1024;
  size_t limit_, held_ = 0;
  std::deque<std::string> messages_;
  std::optional<Error> end_;
  net::Event ready_;
};

/// One process and the requests that share its pipes: matches answers to requests by id, and what
/// else the server says to the request it belongs to. Kept alive by its reader until the process
/// has ended.
class StdioChannel : public std::enable_shared_from_this<StdioChannel> {
 public:
  enum class Use : uint8_t { shared, own };

  /// upstream_unreachable.
  static Result<std::shared_ptr<StdioChannel>> Start(const StdioUpstreamOptions& options, Use use);

  /// Sends a request and waits for its answer. Destroying it before sends notifications/cancelled.
  /// The progress token in `params` is replaced on the way and put back in what comes.
  Task<UpstreamAnswer> Ask(std::string method, std::string params, UpstreamEvents& events);
  /// Sends a notification.
  Result<> Tell(std::string_view method, std::string_view params);
  /// Hands out what belongs to no request, until the process ends. Own use only, one at a time.
  Task<> Hear(UpstreamEvents& events);

  bool alive() const { return !end_; }
  /// Kills the process if it has said nothing at all for so long.
  void KillIfSilent(std::chrono::milliseconds silence);
  /// Ends the process; running requests fail with upstream_closed.
  void Close();

 private:
  struct Pending;
  class Registration;

  StdioChannel(const StdioUpstreamOptions& options, Use use);
  static boost::asio::awaitable<void> Read(std::shared_ptr<StdioChannel> self);
  static boost::asio::awaitable<void> Write(std::shared_ptr<StdioChannel> self);
  Result<> Send(std::string line);
  void End(Error why);
  Result<> Line(std::string line);
  Result<> Message(std::string text);
  void Response(std::string text, const UpstreamMessage& message);
  void Notification(std::string text, const UpstreamMessage& message);
  void Request(std::string text, const UpstreamMessage& message);
  Pending* OnlyPending();
  Task<std::optional<UpstreamAnswer>> Handle(std::string text, UpstreamEvents& events);

  const Use use_;
  const boost::asio::any_io_executor executor_;
  const std::string name_;
  const size_t message_bytes_;
  const std::chrono::milliseconds grace_;
  std::unique_ptr<net::Process> process_;
  std::map<uint64_t, std::shared_ptr<Pending>> pending_;
  std::shared_ptr<MessageBox> unasked_;  // of Hear
  std::deque<std::string> outgoing_;
  size_t outgoing_bytes_ = 0;
  net::Event writable_;  // something to write, or the end
  std::optional<Error> end_;
  uint64_t last_id_ = 0;
  int noise_ = 0;  // lines that were no JSON, since the last message
  std::chrono::steady_clock::time_point heard_;
};

}  // namespace sallyport::mcp
