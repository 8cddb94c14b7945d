#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"
#include "net/http.h"

// The heads of HTTP/1.1 messages (RFC 9112), read twice on purpose: our own strict pass over the
// raw bytes, which refuses every shape that two implementations may frame differently, and Beast's
// parser, which splits the fields. A head is accepted only where both agree.

namespace sallyport::net {

/// Why a message is refused. `detail` has static lifetime and holds nothing out of the message.
struct Refusal {
  int status = 400;
  Errc reason = Errc::request_malformed;
  std::string_view detail;
};

/// Where the body ends.
struct Framing {
  enum class Kind { none, length, chunked, until_close };
  Kind kind = Kind::none;
  uint64_t length = 0;
};

struct RequestHead {
  std::string method;
  std::string target;
  Headers headers;
  Framing framing;
  bool old = false;  // HTTP/1.0
  bool keep_alive = true;
  bool expects_continue = false;
};

struct ResponseHead {
  int status = 0;
  Headers headers;
  Framing framing;
  bool keep_alive = true;
};

constexpr size_t kFieldLimit = 128;

/// Looks for the end of a head in bytes that arrive piece by piece.
class HeadScanner {
 public:
  /// The length of the head with its empty line; 0 if it is not complete. `data` starts with the
  /// bytes of earlier calls, which are not looked at again. Refused at once, so that nobody waits
  /// for an end that cannot come: a line that ends in a bare LF, an empty first line.
  std::expected<size_t, Refusal> Find(std::string_view data);
  void Reset() { at_ = line_ = 0; }

 private:
  size_t at_ = 0;    // first byte not looked at
  size_t line_ = 0;  // start of the current line
};

/// `head` is what HeadScanner found. Refuses (status): anything but `method SP target SP HTTP/1.x`,
/// a target that is not in origin form ("*" for OPTIONS), control characters, obs-fold, white space
/// around a name, Content-Length that is repeated, a list or not digits, Transfer-Encoding that is
/// repeated, not exactly "chunked", of HTTP/1.0 or beside a Content-Length, a Host that is missing,
/// repeated or malformed (400); more than kFieldLimit fields (431); an expectation other than
/// 100-continue (417); another HTTP version (505).
std::expected<RequestHead, Refusal> ParseRequestHead(std::string_view head);

/// The same for a response; `to_head` if the request was a HEAD. `detail` says what is wrong.
std::expected<ResponseHead, Refusal> ParseResponseHead(std::string_view head, bool to_head);

/// True if `text` is a token (RFC 9110 section 5.6.2).
bool IsToken(std::string_view text);
/// True if `text` may be a field value: no control character but a tab.
bool IsFieldValue(std::string_view text);

}  // namespace sallyport::net
