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
#include "pg/startup.h"

namespace sallyport::pg {

/// A caller at the door: TLS done, credential verified, AuthenticationOk NOT yet sent (that waits
/// for the upstream login).
struct Arrival {
  std::shared_ptr<net::Stream> stream;
  std::string address;
  Startup startup;
  bool tls = false;
  identity::VerifiedPtr who;  // null: the admin pseudo-database accepts the same tokens
};

struct ArrivalOptions {
  std::shared_ptr<net::TlsServer> tls;  // null: plain only
  bool plain_password = false;          // a token in clear text: loopback only
  identity::TokenVerifier* verifier = nullptr;
  std::chrono::milliseconds login_deadline{10'000};
  std::string issuer_metadata;  // OAUTHBEARER discovery: <issuer>/.well-known/openid-configuration
  std::string scope;            // of OAUTHBEARER discovery
  std::string resource;         // RFC 8707 resource of a connection: prefix + database name
  /// Asked before a credential is read that is not known to be good; an error turns the client away
  /// and is not reported (rate_limited: too many bad ones came from this address, gate::Refusals).
  std::function<Result<>(const std::string& address, const std::string& database)> may_read;
  /// A refused credential or malformed start, so that it can be recorded; before the client is
  /// told. Not called for peers that leave, or stay silent, before they have said anything that can
  /// be refused: a port scan or a client that asks its user for a password is not an event.
  std::function<void(const std::string& address, const Error& error, const std::string& database)>
      on_refused;
};

/// Takes a fresh TCP connection to the point where its caller is known: SSLRequest, GSSENCRequest
/// (refused), direct TLS with ALPN, protocol negotiation (3.0, 3.2), an agent's client certificate,
/// AuthenticationCleartextPassword inside TLS or SASL OAUTHBEARER, the name check (`user` is the
/// caller's own name, subject, or "token"). Bytes behind an SSLRequest end the connection. Every
/// failure has been answered (FATAL, SQLSTATE 28000, 28P01, 08P01, 0A000 …) and reported; the
/// result then is the error.
///
/// PostgreSQL's protocol has one authentication request per connection and no way for a client to
/// say which it can answer. So the token is asked for as a password, which every driver can do, and
/// by OAUTHBEARER where the client sets `sallyport.auth=oauthbearer`: as a startup parameter, or in
/// `options` ("-c sallyport.auth=oauthbearer", PGOPTIONS). The setting is not passed on.
///
/// `login_deadline` covers everything, from the first byte to the verified token. A connection that
/// is silent for a second holds no buffer. Source: PostgreSQL 18, "Message Flow", "SASL
/// Authentication"; RFC 7628; docs/postgres.md.
Task<std::variant<Arrival, CancelRequest>> Receive(std::shared_ptr<net::Stream> stream,
                                                   std::string address,
                                                   const ArrivalOptions& options);

}  // namespace sallyport::pg
