#pragma once

#include <string>
#include <string_view>

#include "mcp/client_message.h"
#include "op/session.h"

namespace sallyport::mcp {

/// To whom and what a requestState belongs: principal, connection, method, name and the digest of
/// the arguments in canonical form (2026-07-28, Multi Round-Trip Requests, "Server Requirements").
std::string RequestBinding(const op::Principal& who, std::string_view connection,
                           const ClientMessage& message);

/// To whom a task id belongs: principal and connection.
std::string TaskBinding(const op::Principal& who, std::string_view connection);

}  // namespace sallyport::mcp
