#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <variant>

#include "base/task.h"
#include "identity/verifier.h"
#include "net/http_server.h"
#include "net/stream.h"
#include "pg/server.h"

namespace sallyport::pg {

/// What a client said before its first query.
struct Startup {
  uint32_t minor = 0;  // 0 or 2, after negotiation
  std::string user, database;
  std::string application_name;
  Parameters parameters;  // GUCs, from the packet and from `options`, in order
};

/// A caller at the door: TLS done, credential verified, AuthenticationOk NOT yet sent (that waits
/// for the upstream login).
struct Arrival {
  std::shared_ptr<net::Stream> stream;
  std::string address;
  Startup startup;
  bool tls = false;
  identity::VerifiedPtr who;  // null: the admin pseudo-database accepts the same tokens
};

/// A CancelRequest: the connection is answered with nothing and closed.
struct CancelRequest {
  uint32_t pid = 0;
  std::string key;
};

struct ArrivalOptions {
  std::shared_ptr<net::TlsServer> tls;  // null: plain only
  bool plain_password = false;          // a token in clear text: loopback only
  identity::TokenVerifier* verifier = nullptr;
  std::chrono::milliseconds login_deadline{10'000};
  std::string issuer_metadata;  // OAUTHBEARER discovery: <issuer>/.well-known/openid-configuration
  std::string scope;            // of OAUTHBEARER discovery
  std::string resource;         // RFC 8707 resource of a connection: prefix + database name
  /// A refused credential or malformed start, so that it can be recorded.
  std::function<void(const std::string& address, const Error& error, const std::string& database)>
      on_refused;
};

/// Takes a fresh TCP connection to the point where its caller is known: SSLRequest, GSSENCRequest
/// (refused), direct TLS with ALPN, protocol negotiation (3.0, 3.2),
/// AuthenticationCleartextPassword inside TLS or SASL OAUTHBEARER, the name check (`user` is the
/// caller's own name, subject, or "token"). Bytes behind an SSLRequest end the connection. Every
/// failure has been answered (FATAL, SQLSTATE 28000, 28P01, 08P01, 0A000 …) and reported; the
/// result then is the error.
Task<std::variant<Arrival, CancelRequest>> Receive(std::shared_ptr<net::Stream> stream,
                                                   std::string address,
                                                   const ArrivalOptions& options);

}  // namespace sallyport::pg
