#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "export/facts.h"

namespace sallyport::exporting {

/// One event as it is sent.
struct Item {
  uint64_t index = 0;
  Nanos at = 0;
  Severity severity = Severity::unknown;
  std::string event;  // "call.denied"
  std::string leaf;   // base64
  std::string trace;  // 32 hexadecimal digits, or empty
  std::string text;   // the event; one line
};

/// Entries that follow one another, at least one.
struct Batch {
  std::string origin;
  std::vector<Item> items;
  uint64_t first() const { return items.front().index; }
  uint64_t end() const { return items.back().index + 1; }
};

/// An entry that the receiver will not take as it is, however often it is sent.
struct Refused {
  uint64_t index = 0;
  std::string why;  // the receiver's answer, not its words
};

/// How events reach a receiver. One thread uses it, in order, and it may block: for as long as its
/// timeouts say, or until the stop token that it was made with says so. A failure says what is
/// wrong in words that hold nothing of the receiver's or of the events.
class Delivery {
 public:
  virtual ~Delivery() = default;

  /// Hands over a batch that follows the last one. What is refused for good is named; the others
  /// are under way then. On failure nothing of the batch counts as sent.
  virtual Result<std::vector<Refused>> Send(const Batch& batch) = 0;

  /// All entries below it are with the receiver, as far as the receiver can say. Asks it where it
  /// has to be asked. A failure: what is under way has to be sent again.
  virtual Result<uint64_t> Confirmed() = 0;

  /// After a failure, and at the start: what was under way is forgotten. Gives the entry to go on
  /// with, at most `cursor`, below which everything was confirmed.
  virtual uint64_t Restart(uint64_t cursor) { return cursor; }

  /// Batches that may be under way at once.
  virtual size_t window() const { return 1; }
  /// What one batch may hold; one event may be longer.
  virtual size_t batch_bytes() const { return 1 << 20; }
};

/// What a receiver said to a post.
struct Answer {
  enum class Kind : uint8_t {
    taken,    // all of them
    partly,   // some of them, and nobody knows which
    refused,  // none, and sending the same again is of no use
  };
  Kind kind = Kind::taken;
  std::string why;
};

/// Posts `items`, and what is refused or partly taken again in halves, in order, until the entries
/// are found that are refused on their own. Those are given back, provided that the receiver has
/// taken another one of `items`: a receiver that takes nothing is out of order, not right, and that
/// is the failure. Entries that were taken may so be sent more than once.
Result<std::vector<Refused>> PostDividing(
    std::span<const Item> items, const std::function<Result<Answer>(std::span<const Item>)>& post);

}  // namespace sallyport::exporting
