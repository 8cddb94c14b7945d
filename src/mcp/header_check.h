#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "mcp/client_message.h"
#include "mcp/tool_definition.h"
#include "net/http.h"

namespace sallyport::mcp {

// The request metadata of 2026-07-28 (Streamable HTTP, "Request Metadata"): who reads headers and
// who reads the body must see the same request. All errors are header_mismatch; their details hold
// no header value.

/// No field of which there may be one occurs twice, and Mcp-Method and Mcp-Name agree with the
/// body.
Result<> CheckStandardHeaders(const net::Headers& headers, const ClientMessage& message);

/// The Mcp-Param-* fields that the tool's annotations ask for are there and agree with the
/// arguments.
Result<> CheckParamHeaders(const net::Headers& headers, const ToolDefinition& tool,
                           json::Value arguments);

/// All Mcp-Param-* fields, as they go upstream.
std::vector<std::pair<std::string, std::string>> ParamHeaders(const net::Headers& headers);

/// The Mcp-Param-* fields that the tool's annotations ask for, made from the arguments: for clients
/// of eras that know no such fields. A value that no field can mirror (a list, an object) is left
/// out: the upstream has to refuse it as of the wrong type.
std::vector<std::pair<std::string, std::string>> MirrorParams(const ToolDefinition& tool,
                                                              json::Value arguments);

/// The value of params that Mcp-Name mirrors for this method; missing if the method has none.
json::Value NameSource(const ClientMessage& message);

/// Takes `=?base64?…?=` apart; other values are returned as they are. nullopt: bad base64 or a byte
/// that no header may hold.
std::optional<std::string> DecodeHeaderValue(std::string_view value);

}  // namespace sallyport::mcp
