#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/secret.h"
#include "base/task.h"
#include "net/stream.h"
#include "net/tls.h"

namespace sallyport::pg {

/// How to reach one PostgreSQL server. Immutable while serving, shared by all shards.
struct ServerAddress {
  enum class SslMode : uint8_t { disable, require, verify_ca, verify_full };
  std::string host;  // a name, an address, or a directory of Unix sockets ("/…")
  uint16_t port = 5432;
  std::string database;
  SslMode sslmode = SslMode::verify_full;
  bool direct_tls = false;  // PostgreSQL 17+, without SSLRequest
  net::TlsContext tls;      // null for disable; may hold a client certificate
  std::chrono::milliseconds connect_timeout{5'000};  // of connecting, TLS and login together
  uint32_t protocol_minor = 0;  // 3.0, which every server speaks, or 2: 3.2 of PostgreSQL 18
};

using Parameters = std::vector<std::pair<std::string, std::string>>;

struct ServerLogin {
  std::string user;
  Secret password;     // empty: none is offered
  Parameters startup;  // beside user and database: options that the session may set
  /// Called when the server does not take it, so that a better one is looked for next time.
  std::function<void()> refused = {};
};

/// A backend of our own: logged in, at its first ReadyForQuery, nothing read beyond it. One client
/// session owns it for its whole life (no reuse between callers).
struct Server {
  std::shared_ptr<net::Stream> stream;
  Parameters parameters;  // ParameterStatus in the order they came
  uint32_t pid = 0;
  std::string cancel_key;            // 4 bytes under protocol 3.0, up to 256 under 3.2
  std::vector<std::string> notices;  // whole NoticeResponse messages that came during login
  uint16_t local_port = 0;           // our end of the connection; 0 on a Unix socket
  std::shared_ptr<void> own;         // while it lives, OwnBackends knows this backend

  const std::string* Parameter(std::string_view name) const;
};

/// Connects, negotiates TLS, logs in (trust, cleartext inside TLS, md5, SCRAM-SHA-256 and -PLUS
/// with tls-server-end-point; certificates by the TLS context). The server's signature is verified,
/// the iteration count is capped, a downgrade from -PLUS is refused. upstream_unreachable,
/// upstream_timeout, upstream_protocol, upstream_login_failed (detail: the server's SQLSTATE and
/// its message without outside values).
Task<Server> LogIn(const ServerAddress& address, ServerLogin login);

/// Sends a CancelRequest on a connection of its own, under TLS where the session is, within the
/// address's connect_timeout. Errors are logged. False: it was sent, and the server has not said
/// that it is done with it, so that it may still hit whatever runs then.
boost::asio::awaitable<bool> SendCancel(std::shared_ptr<const ServerAddress> address, uint32_t pid,
                                        std::string cancel_key);

/// Runs one simple query on a server that is ready and gives the rows in text form; for the gate's
/// own questions (catalog, roles), never for what a client sent. upstream_protocol with the
/// SQLSTATE when it fails.
using Row = std::vector<std::optional<std::string>>;
Task<std::vector<Row>> Query(Server& server, std::string sql, std::chrono::milliseconds limit);

}  // namespace sallyport::pg
