#pragma once

#include "identity/verifier.h"
#include "mcp/front.h"
#include "mcp/to_wire.h"
#include "net/http_server.h"

namespace sallyport::mcp {

/// Reads the one Authorization field and has the token verified. Tokens anywhere else (query, body,
/// cookies) are not looked at. request_malformed: several fields; token_missing; token_malformed:
/// another scheme; and what the verifier says.
Task<identity::VerifiedPtr> Authenticate(Front& front, const net::HttpRequest& request,
                                         std::string_view connection);

/// 401 (or 400, 503) with WWW-Authenticate that names the resource metadata of the connection (RFC
/// 9728, RFC 6750). The refusal is recorded first.
boost::asio::awaitable<void> Challenge(Front& front, net::HttpExchange& exchange,
                                       std::string_view connection, const Error& error);

/// Makes `answer`, a refusal for the limits of the session, a 403 that tells an OAuth client which
/// scopes to ask its person for: all of them at once (RFC 6750 section 3.1, MCP authorization).
void AskForMore(const Front& front, std::string_view connection, WireAnswer& answer);

/// answer_locked.cc: what a session that is locked gets. It is no fault of the token, which goes on
/// when the session is unlocked, and a 401 would make clients throw it away: so a tool call gets a
/// result that the model can read, other requests an error in JSON-RPC, each with where to unlock.
boost::asio::awaitable<void> AnswerLocked(Front& front, net::HttpExchange& exchange,
                                          std::string_view connection, const Error& error);

/// The document of RFC 9728 for a connection, or for the gateway as a whole if the name is empty.
std::string ResourceMetadata(const Front& front, std::string_view connection);

}  // namespace sallyport::mcp
