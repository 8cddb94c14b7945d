#pragma once

#include <string>
#include <string_view>

#include "mcp/to_wire.h"
#include "net/http_server.h"

namespace sallyport::mcp {

/// Sends an answer of our own as one JSON-RPC response; with no id if `raw_id` is empty. Never an
/// empty body for an error: a client of both eras would take it for a server of the older one.
boost::asio::awaitable<void> Send(net::HttpExchange& exchange, WireAnswer answer,
                                  std::string_view raw_id = {});
/// The same for an error.
boost::asio::awaitable<void> SendError(net::HttpExchange& exchange, const Error& error,
                                       std::string_view raw_id = {});
/// 202 without a body, the answer to a notification.
boost::asio::awaitable<void> SendAccepted(net::HttpExchange& exchange);

}  // namespace sallyport::mcp
