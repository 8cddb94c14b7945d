#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>

#include "base/task.h"
#include "mcp/to_wire.h"
#include "net/event.h"

namespace sallyport::mcp {

/// One message on its way to the client.
struct Outgoing {
  uint64_t number = 0;  // in its stream, from 1
  bool last = false;    // the answer: nothing follows
  int status = 200;     // of HTTP, if nothing was sent before it
  std::string json;     // a whole JSON-RPC message
  net::Headers headers;
};

/// The messages that one request, or one listening client, gets, in their order: made by the call,
/// taken by whoever writes to the client. ONE shard. At most one reader is attached at a time; a
/// new one pushes the old one out. When messages are kept for replay they stay until `keep` newer
/// ones came, else they go when taken.
class CallStream {
 public:
  CallStream(boost::asio::any_io_executor executor, size_t keep)
      : keep_(keep), more_(executor), room_(executor) {}

  /// Waits while an attached reader is far behind (back-pressure). What nobody reads is kept within
  /// bounds of number and bytes. `cancelled` when the stream was abandoned.
  Task<> Push(std::string json);
  /// The answer. Later calls do nothing.
  void Finish(Outgoing last);
  /// Nothing follows, without an answer: the reader gets what is there, then the end.
  void End();

  /// A reader who has everything up to `seen` attaches; returns its ticket.
  uint64_t Attach(uint64_t seen);
  /// The next message; nullopt when there is none any more, or another reader took over, or the
  /// stream was abandoned; upstream_timeout after `limit`.
  Task<std::optional<Outgoing>> Next(uint64_t ticket, std::chrono::milliseconds limit);
  /// The reader is gone. Messages that nobody takes are kept within the bound.
  void Detach(uint64_t ticket);
  /// Nobody will read any more.
  void Abandon();

  bool attached() const { return ticket_ != 0; }
  bool abandoned() const { return abandoned_; }
  bool finished() const { return finished_; }
  bool drained() const { return finished_ && seen_ == count_; }
  /// True if a reader who has seen `number` can go on from there without a gap.
  bool Has(uint64_t number) const;

 private:
  static constexpr size_t kAhead = 64;            // messages, and
  static constexpr size_t kAheadBytes = 4 << 20;  // bytes of them, that wait for a reader
  static constexpr size_t kKeptBytes = 4 << 20;   // of messages that wait for Last-Event-ID

  void DropOldest();
  bool Behind() const { return count_ - seen_ >= kAhead || unseen_ >= kAheadBytes; }

  const size_t keep_;
  std::deque<Outgoing> items_;
  uint64_t count_ = 0;   // number of the newest
  uint64_t seen_ = 0;    // the reader's position
  size_t bytes_ = 0;     // of items_
  size_t unseen_ = 0;    // of those behind seen_
  uint64_t ticket_ = 0;  // of the attached reader, 0: none
  uint64_t tickets_ = 0;
  bool finished_ = false, abandoned_ = false;
  net::Event more_, room_;
};

}  // namespace sallyport::mcp
