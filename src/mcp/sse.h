#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace sallyport::mcp {

/// One dispatched event of a stream of server-sent events.
struct SseEvent {
  std::string type;  // empty: "message"
  std::string data;  // lines joined by LF
  std::string id;    // the last event id in force when the event was dispatched
};

/// Reads text/event-stream as the WHATWG HTML standard says (section 9.2.6): lines end in CR, LF or
/// CRLF, a byte-order mark is skipped, comments and unknown fields are ignored, an event is
/// dispatched at an empty line, and what is unfinished at the end is dropped. The bytes may be cut
/// anywhere. Bytes are not checked to be UTF-8: the JSON reader behind does that.
class SseParser {
 public:
  /// `limit` bounds the bytes held for one event, its unfinished line included.
  explicit SseParser(size_t limit) : limit_(limit) {}

  /// Reads on and appends what is complete. upstream_too_large beyond the limit; then the parser is
  /// spent.
  Result<> Feed(std::string_view bytes, std::vector<SseEvent>& out);

  /// The last `id:` field that was dispatched with an empty line, for Last-Event-ID.
  const std::string& last_id() const { return last_id_; }
  /// The last valid `retry:` field, in milliseconds.
  std::optional<uint32_t> retry() const { return retry_; }
  /// Takes over id and reconnection time of the stream that this one continues. Before the first
  /// Feed.
  void ContinueFrom(const SseParser& broken) {
    last_id_ = id_buffer_ = broken.last_id_;
    retry_ = broken.retry_;
  }

 private:
  void Line(std::string_view line, std::vector<SseEvent>& out);
  void Field(std::string_view name, std::string_view value);
  bool TooLarge() const;

  size_t limit_;
  uint8_t bom_ = 0;        // bytes of the byte-order mark seen so far; 3: past the start
  bool after_cr_ = false;  // an LF now belongs to the CR before it
  bool has_data_ = false;
  std::string line_;  // unfinished
  std::string type_, data_, id_buffer_, last_id_;
  std::optional<uint32_t> retry_;
};

/// Appends one event. Line breaks in `data` start a new data line, so that no text can end the
/// event or begin another field. An `id` or `type` with CR, LF or NUL cannot be said in this format
/// and is left out.
void AppendEvent(std::string& out, std::string_view data, std::string_view id = {},
                 std::string_view type = {});
/// Appends the reconnection time as an event of its own that dispatches nothing.
void AppendRetry(std::string& out, uint32_t milliseconds);
/// Appends a comment that keeps the connection alive and is no event.
void AppendKeepAlive(std::string& out);

}  // namespace sallyport::mcp
