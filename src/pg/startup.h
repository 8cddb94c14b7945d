#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/error.h"
#include "pg/server.h"

namespace sallyport::pg {

/// What a client said before its first query.
struct Startup {
  uint32_t minor = 0;  // 0 or 2, after negotiation
  std::string user, database;
  std::string application_name;  // printable ASCII, at most 63 bytes, for people to read
  Parameters parameters;         // GUCs, from `options` and from the packet, in that order
};

/// A CancelRequest: the connection is answered with nothing and closed.
struct CancelRequest {
  uint32_t pid = 0;
  std::string key;
};

/// Why a client is not let in, in its own words and in ours.
struct Refusal {
  Error error;           // for the record
  const char* sqlstate;  // static
  std::string message, detail, hint;
};

/// Appends the ErrorResponse (severity FATAL) that ends a connection.
void AppendFatal(std::string& out, const Refusal& refusal);

enum class LoginMethod : uint8_t { password, oauthbearer };

struct SslRequest {};
struct GssRequest {};
struct StartupRequest {
  Startup startup;
  LoginMethod method = LoginMethod::password;
  bool negotiate = false;            // tell the client what is spoken here
  std::vector<std::string> unknown;  // protocol options "_pq_.…" that are not
};
using FirstPacket = std::variant<StartupRequest, CancelRequest, SslRequest, GssRequest>;

/// Reads the first packet of a connection, whole, with its length. As PostgreSQL 18 does it
/// (src/backend/tcop/backend_startup.c): protocol 3.0 and 3.2; a newer minor version, 3.1, and
/// unknown protocol options are negotiated; another major version is 0A000; `database` defaults to
/// `user`; `options` is split as pg_split_opts does, with -c name=value and --name=value. Refused
/// beyond that: replication, other switches in `options`, names that are not UTF-8 or hold control
/// characters. The parameter "sallyport.auth" (password, oauthbearer) chooses how to log in and
/// goes no further.
std::expected<FirstPacket, Refusal> ParseFirstPacket(std::string_view packet);

/// Appends NegotiateProtocolVersion.
void AppendNegotiation(std::string& out, const StartupRequest& request);

}  // namespace sallyport::pg
