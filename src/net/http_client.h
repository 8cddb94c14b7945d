#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>

#include "base/task.h"
#include "net/http.h"

namespace sallyport::net {

/// Where an upstream is. Made by ParseUrl.
struct Origin {
  bool tls = false;
  std::string host;  // name or address, no brackets
  uint16_t port = 0;
  bool operator==(const Origin&) const = default;
};

struct Url {
  Origin origin;
  std::string target;  // path and query, "/" at least
};

/// http and https only; no user info, no fragment. config_invalid with what is wrong.
Result<Url> ParseUrl(std::string_view text);

struct ClientLimits {
  std::chrono::milliseconds connect_timeout{5'000};
  std::chrono::milliseconds head_timeout{60'000};   // from the last byte sent to the response head
  std::chrono::milliseconds read_timeout{300'000};  // between two reads of the body
  uint32_t header_bytes = 64 << 10;
  size_t connections_per_origin = 256;  // per shard
  std::chrono::milliseconds idle_timeout{60'000};
};

/// A response whose head has arrived; the body is read piece by piece, de-chunked. Dropping it
/// before the end closes the connection (which is how a modern MCP request is cancelled).
class HttpResponse {
 public:
  virtual ~HttpResponse() = default;
  virtual int status() const = 0;
  virtual const Headers& headers() const = 0;
  /// The next bytes as they arrive, nullopt at the clean end of the body. upstream_closed when it
  /// ends early, upstream_timeout, upstream_protocol.
  virtual Task<std::optional<std::string>> Read() = 0;
  /// The whole rest, upstream_too_large beyond `limit`.
  Task<std::string> ReadAll(uint64_t limit);
  /// Closes the connection; a Read that is waiting fails with cancelled. Callable on the shard at
  /// any time.
  virtual void Cancel() = 0;
};

/// Keep-alive connections to upstreams, for one shard. Follows no redirects, knows no cookies and
/// no proxy. A request that fails on a reused connection before one byte of the response arrived is
/// repeated once on a fresh one only if nothing of it can have been processed (the write failed).
class HttpClient {
 public:
  struct Options {
    ClientLimits limits;
    std::string ca_file;  // PEM; empty: the system's
  };
  static std::unique_ptr<HttpClient> Make(boost::asio::any_io_executor executor, Options options);
  virtual ~HttpClient() = default;

  /// Sends and waits for the head. upstream_unreachable, upstream_timeout (also when no connection
  /// becomes free), upstream_closed, upstream_protocol; config_invalid where the authorities cannot
  /// be read. Ending the wait by Asio's cancellation closes the connection. `headers` carries
  /// everything but Host, Content-Length and Connection.
  virtual Task<std::unique_ptr<HttpResponse>> Send(const Origin& origin, std::string method,
                                                   std::string target, Headers headers,
                                                   std::string body) = 0;
  virtual size_t connections() const = 0;
};

}  // namespace sallyport::net
