#pragma once

#include <string>
#include <string_view>

#include "net/http.h"

namespace sallyport::net {

/// The status line, `headers` and the Date, each with its CRLF, without the framing and the empty
/// line. Empty if a field would break the message apart or is one that only the server sets
/// (Content-Length, Transfer-Encoding, Connection).
std::string BuildResponseHead(int status, const Headers& headers);
/// Appends "Content-Length: …\r\n".
void AppendLength(std::string& head, size_t length);
/// Counts a response of a handler, or a request refused before it (sallyport_http_*).
void CountResponse(int status);
void CountRefusal(int status);
/// True for a status whose response never has a body (RFC 9110 section 6.4.1).
bool HasNoBody(int status);

}  // namespace sallyport::net
