#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <string_view>

#include "base/task.h"
#include "net/stream.h"
#include "pg/server.h"

// What logging in, asking and cancelling share; internal to server*.cc.

namespace sallyport::pg {

using TimePoint = std::chrono::steady_clock::time_point;

/// A message of a server. The body is valid until the next Next() or Done().
struct ServerMessage {
  char type = 0;
  std::string_view body;
};

/// Reads whole messages, one at a time, and takes nothing from the stream that it did not hand out.
class MessageReader {
 public:
  /// `what` begins the details of errors: "login", "query".
  MessageReader(net::Stream& stream, const char* what) : stream_(stream), what_(what) {}

  /// The next message, if it is here already: no coroutine per message of a long answer. nullopt:
  /// use Next().
  std::optional<ServerMessage> TryNext(size_t max_body);
  /// upstream_protocol for a length below 4 or a body beyond `max_body`, upstream_timeout,
  /// upstream_closed.
  Task<ServerMessage> Next(TimePoint until, size_t max_body);
  /// Gives back what the last message took up.
  void Done();

 private:
  net::Stream& stream_;
  const char* what_;
  size_t taken_ = 0;     // bytes of stream_.data() that the last message lies in
  std::string scratch_;  // a message that is longer than the stream's buffer
};

/// Sends `bytes` whole.
Task<> SendAll(net::Stream& stream, std::string_view bytes, TimePoint until);

/// A connection to the server, under TLS where `address` says so, before the startup packet.
/// upstream_unreachable, upstream_timeout, upstream_protocol.
Task<std::shared_ptr<net::Stream>> Reach(const ServerAddress& address, TimePoint until);

/// What is used of an ErrorResponse.
struct ServerError {
  std::string sqlstate;  // five characters; "XX000" where the server named none
  std::string message;   // redacted, see RedactMessage
};
/// Total: a body that is cut or without fields gives what there is.
ServerError ReadError(std::string_view body);

/// The words of a server's message without the values in it: what is quoted, and runs of four
/// digits or more, become "…"; cut at 200 bytes; ASCII only.
std::string RedactMessage(std::string_view message);

/// Keeps a ParameterStatus; false if it is malformed.
bool KeepParameter(Server& server, std::string_view body);

}  // namespace sallyport::pg
