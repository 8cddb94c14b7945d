#pragma once

#include <string>
#include <string_view>

#include "base/error.h"
#include "net/http.h"

namespace sallyport::api {

/// What a handler answers. Security headers and Cache-Control come from Api::Handle.
struct Reply {
  int status = 200;
  net::Headers headers;
  std::string body;
  bool step_up = false;  // of Problem: the challenge of RFC 9470 is still to be added
  bool sent = false;     // the handler has spoken to the exchange itself (a stream)
};

/// application/json; `text` is a whole JSON text.
Reply Json(std::string text, int status = 200);
/// application/problem+json (RFC 9457) with `code`, the stable reason code. Details of faults
/// inside stay inside.
Reply Problem(const Error& error);
/// 303 to a path of this gateway, which the caller has to have checked or made itself.
Reply Redirect(std::string_view path);
/// A whole HTML page in the common frame: `title` is text, `body` is HTML.
Reply Page(std::string_view title, std::string_view body, int status = 200);
/// Text for HTML, also inside quoted attributes.
std::string Escape(std::string_view text);

/// The HTTP status that says `code`; one exhaustive switch.
int StatusOf(Errc code);

}  // namespace sallyport::api
