#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"
#include "mcp/upstream.h"

namespace sallyport::mcp {

// Writing and reading of single JSON-RPC 2.0 messages towards an upstream. Parameters, results and
// foreign ids are spliced as the text they came in: nothing is re-serialised, so no number or key
// order changes.

/// `{"jsonrpc":"2.0","id":7,"method":…,"params":…}`; `params` is a JSON object text or empty for
/// none.
std::string RequestText(uint64_t id, std::string_view method, std::string_view params);
std::string NotificationText(std::string_view method, std::string_view params);
/// The answer to a request of the upstream; `raw_id` is its id as it came.
std::string ResponseText(std::string_view raw_id, const UpstreamAnswer& answer);
/// `{"code":…,"message":…}`, an error object of our own.
std::string ErrorText(int code, std::string_view message);

/// One message of an upstream. The views point into the text that was read.
struct UpstreamMessage {
  enum class Kind : uint8_t { result, error, request, notification };
  Kind kind = Kind::notification;
  std::string_view id;    // as it stands in the text; empty if none, "null" in some errors
  std::string method;     // of requests and notifications
  std::string_view body;  // result, error or params (may be empty) as JSON text
};

/// Takes one message apart. upstream_protocol if it is no JSON-RPC 2.0 message: wrong or missing
/// version, repeated or contradictory members, an id that is no string or integer, a result or
/// params that is no object. What is inside the body is not read.
Result<UpstreamMessage> ReadMessage(std::string_view text);

/// Cuts `text` down to the part that `part` views, in place.
void KeepOnly(std::string& text, std::string_view part);

/// A value for Mcp-Name or Mcp-Param-*: itself if it can stand in a header, else `=?base64?…?=`
/// (2026-07-28, Streamable HTTP, "Value Encoding").
std::string HeaderValue(std::string_view text);
/// True if `text` can stand in a header as it is: visible ASCII, space and tab, no space at the
/// ends.
bool IsPlainHeaderValue(std::string_view text);

}  // namespace sallyport::mcp
