#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <string>

#include "mcp/sse.h"
#include "mcp/upstream_http.h"

namespace sallyport::mcp {

/// The body of one HTTP response as a row of JSON-RPC messages, whichever way the server sends it:
/// one JSON text, a JSON array (batches of 2025-03-26), or events. Dropping it before the end
/// closes the connection.
class HttpReply {
 public:
  enum class Form : uint8_t { none, json, events, other };

  HttpReply(std::unique_ptr<net::HttpResponse> response, uint64_t message_bytes);

  int status() const { return response_->status(); }
  bool ok() const { return status() >= 200 && status() < 300; }
  Form form() const { return form_; }
  const net::Headers& headers() const { return response_->headers(); }

  /// The next message, nullopt at the end of the body. upstream_closed, upstream_timeout,
  /// upstream_too_large, upstream_protocol (a content type that is neither form).
  Task<std::optional<std::string>> Next();

  /// For resumption in the session eras.
  const std::string& last_event_id() const { return parser_.last_id(); }
  std::optional<uint32_t> retry() const { return parser_.retry(); }
  void ContinueFrom(const HttpReply& broken) { parser_.ContinueFrom(broken.parser_); }

  /// Reads what is left, at most a few pieces; nothing of it is looked at.
  Task<> Skip();
  void Cancel() { response_->Cancel(); }

 private:
  Result<> SplitBatch(std::string text);

  std::unique_ptr<net::HttpResponse> response_;
  uint64_t message_bytes_;
  Form form_;
  bool done_ = false;
  SseParser parser_;
  std::deque<std::string> ready_;
};

/// What all requests to one HTTP upstream share. Kept alive by what still runs.
class HttpWire {
 public:
  explicit HttpWire(HttpUpstreamOptions options);

  const HttpUpstreamOptions& options() const { return options_; }
  uint64_t NextId() { return ++last_id_; }

  /// Sends with the credential. Statuses that say nothing of MCP are errors: a refused credential,
  /// a redirect, an overloaded server. Others are left to the caller.
  /// `caller`, who must outlive the call, is on whose behalf; null: nobody's.
  Task<std::unique_ptr<HttpReply>> Post(net::Headers headers, std::string body,
                                        const op::Session* caller);
  Task<std::unique_ptr<HttpReply>> Get(net::Headers headers, const op::Session* caller);
  /// Ends a session; the answer does not matter.
  Task<> Delete(net::Headers headers, std::shared_ptr<const op::Session> caller);

  /// Counts a message that belonged to nothing.
  void Stray();
  /// The upstream is gone: nothing more is sent through a client that may be gone with it.
  void Close() { closed_ = !options_.owned_client; }

 private:
  Task<std::unique_ptr<HttpReply>> Send(std::string method, net::Headers headers, std::string body,
                                        const op::Session* caller);
  Task<std::unique_ptr<HttpReply>> SendLive(std::string method, net::Headers headers,
                                            std::string body, const op::Session* caller);

  HttpUpstreamOptions options_;
  uint64_t last_id_ = 0;
  bool closed_ = false;
};

/// Reads on for a moment behind the answer of an event stream, so that the connection can be used
/// again: most servers end the stream right there.
void ReadToEnd(const boost::asio::any_io_executor& executor, std::unique_ptr<HttpReply> reply);

/// The headers of a POST in either era, before the credential.
net::Headers PostHeaders();

/// The error of a response that is not MCP, naming the status and nothing of its body.
std::unexpected<Error> UnexpectedStatus(int status);

}  // namespace sallyport::mcp
