#pragma once

#include <boost/asio/awaitable.hpp>
#include <string>
#include <string_view>

#include "net/http_server.h"

namespace sallyport::net {

/// Cross-origin resource sharing (Fetch standard, section 3.2) for pages of origins that the
/// operator has listed. Such a page may send what a program may send, with a token in
/// `Authorization`, and read the answer. Cookies and certificates of its browser do not come along:
/// Access-Control-Allow-Credentials is never said, and the origin is never `*`.

/// What a browser asks before a request that a form could not make (section 3.2.2). It carries no
/// credential, and gets none asked of it.
bool IsPreflight(const HttpRequest& request);

/// The response of `exchange`, whatever it becomes, may be read by pages of `origin`, which is
/// listed; null: by no page. Either way caches keep the two apart (Vary).
void SharedWith(const std::string* origin, HttpExchange& exchange);

/// 204 with `methods` ("POST, GET") and those of the fields asked for that MCP and OAuth clients
/// send. After SharedWith.
boost::asio::awaitable<void> AnswerPreflight(HttpExchange& exchange, std::string_view methods);

}  // namespace sallyport::net
