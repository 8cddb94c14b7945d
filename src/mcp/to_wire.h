#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"
#include "net/http.h"
#include "op/decision.h"

namespace sallyport::mcp {

// JSON-RPC error codes. Those of the specification, and our own outside -32768..-32000, as
// 2026-07-28 demands of applications; the numbers are those of the HTTP status with the same
// meaning.
inline constexpr int kParseError = -32700;
inline constexpr int kInvalidRequest = -32600;
inline constexpr int kMethodNotFound = -32601;
inline constexpr int kInvalidParams = -32602;
inline constexpr int kInternalError = -32603;
inline constexpr int kHeaderMismatch = -32020;
inline constexpr int kMissingCapability = -32021;
inline constexpr int kUnsupportedVersion = -32022;
inline constexpr int kUnauthorized = 401;
inline constexpr int kDenied = 403;
inline constexpr int kLimited = 429;

/// One answer, before the client's id is put around it.
struct WireAnswer {
  int status = 200;    // of HTTP, if the answer is not part of a stream
  bool error = false;  // `json` is a JSON-RPC error object, else a result object
  std::string json;
  std::string code;  // for the log: "tool-error", or the JSON-RPC error code; empty if all is well
  net::Headers headers;
  bool beyond_grant = false;  // the session's own limits are why it was refused
};

/// Where an answer goes.
struct WireContext {
  std::string_view method;
  std::string_view name;  // tool, prompt or URI as the client wrote it
  bool modern = false;
  /// The tool has an outputSchema: clients check structuredContent against it even in an error, so
  /// ours goes to `_meta` only.
  bool output_schema = false;
};

/// How each reason is said: in one exhaustive switch. The text never holds a value, the policy's
/// text or an upstream's error.
WireAnswer ToWire(const Error& error, const WireContext& context,
                  std::string_view decision_id = {});
/// A call that the gate did not admit (notes on blocked calls: docs/mcp.md). A resource that the
/// caller may not know of gets the same bytes as one that does not exist.
WireAnswer ToWire(const op::Refusal& refusal, const WireContext& context);

/// "Unknown tool: x" and its like.
WireAnswer UnknownName(const WireContext& context);

/// -32022 with the list of what is supported.
WireAnswer UnsupportedVersion(std::string_view requested, bool modern);
/// -32021 with what is missing, a JSON object text.
WireAnswer MissingCapability(std::string_view capabilities);

}  // namespace sallyport::mcp
