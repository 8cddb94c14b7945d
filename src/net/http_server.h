#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/task.h"
#include "net/http.h"

namespace sallyport::net {

class Shards;
class TlsServer;

/// One request on its way to an answer. Belongs to the handler for the time of the call, on the
/// connection's shard. Exactly one of Respond or Begin…End is called; if the handler does neither,
/// the server answers 500.
class HttpExchange {
 public:
  virtual ~HttpExchange() = default;

  virtual const HttpRequest& request() const = 0;

  /// Sends a whole response with Content-Length. io_failed if the client is gone, upstream_timeout
  /// never.
  virtual Task<> Respond(int status, Headers headers, std::string body) = 0;

  /// Adds a field to the response, whoever makes it. Before Respond or Begin.
  virtual void AddToResponse(std::string name, std::string value) = 0;

  /// Starts a chunked response that is written as it comes; each Write is on the wire when it
  /// returns (or fails: back-pressure is the await). TCP_NODELAY, nothing is held back.
  virtual Task<> Begin(int status, Headers headers) = 0;
  virtual Task<> Write(std::string_view bytes) = 0;
  virtual Task<> End() = 0;

  /// True once the client has closed its side or reset the connection. While a handler runs the
  /// server watches the socket, so this turns true without a write.
  virtual bool client_gone() const = 0;
  /// Calls `f` once on this shard when the client goes away during this exchange; replaces an
  /// earlier one. Within this call if it has gone already.
  virtual void OnGone(std::function<void()> f) = 0;

  virtual boost::asio::any_io_executor executor() const = 0;
  /// Close the connection after this exchange instead of keeping it.
  virtual void CloseAfter() = 0;
};

using HttpHandler = std::function<boost::asio::awaitable<void>(HttpExchange&)>;

/// An HTTP/1.1 server on one address, one listener per shard (SO_REUSEPORT). Refused before the
/// handler sees anything, with the status given and the connection closed: smuggling shapes
/// (Content-Length with Transfer-Encoding, two Content-Lengths, obs-fold, bare LF in the head, a
/// transfer coding other than chunked, white space before the colon) 400; a head too large 431; a
/// body too large 413; a slow head or body 408; a missing, duplicate or malformed Host 400.
/// Pipelined requests are answered in order. `on_refused(address, status, reason)` is called for
/// each, so that it can be recorded.
class HttpServer {
 public:
  struct Options {
    std::string address;  // "127.0.0.1:8443", "[::1]:8443"
    HttpLimits limits;
    std::shared_ptr<TlsServer> tls;  // null: plain
    HttpHandler handler;
    std::function<void(const std::string& address, int status, Errc reason,
                       std::string_view detail)>
        on_refused;
  };

  /// Binds and starts to accept. io_failed with the address and the system's reason.
  static Result<std::unique_ptr<HttpServer>> Listen(Shards& shards, Options options);
  virtual ~HttpServer() = default;

  virtual uint16_t port() const = 0;
  /// New limits for connections accepted from now on.
  virtual void SetLimits(const HttpLimits& limits) = 0;
  /// Stops accepting, closes idle connections, lets running exchanges finish; returns at once.
  virtual void Drain() = 0;
  /// Exchanges that are running.
  virtual size_t active() const = 0;
  virtual size_t connections() const = 0;
};

/// Server side of TLS (1.2 or 1.3, AEAD suites only), reloadable: a handshake uses the certificate
/// that was current when it began. Thread-safe.
class TlsServer {
 public:
  struct Options {
    std::string certificate_file;  // PEM chain
    std::string key_file;
    std::string min_version = "1.2";
    /// PEM: clients may show a certificate of these authorities; another one ends the handshake.
    /// Empty: none is asked for.
    std::string client_ca_file;
  };
  static Result<std::shared_ptr<TlsServer>> Make(const Options& options);
  virtual ~TlsServer() = default;
  virtual Result<> Reload() = 0;  // keeps the old certificate when the files are bad
};

}  // namespace sallyport::net
