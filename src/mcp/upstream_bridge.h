#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "mcp/upstream.h"

namespace sallyport::mcp {

// What has to change in a message when the client and the upstream are of different eras.
// Everything is spliced into or cut out of the text; what is not named here passes as it came.

/// The `_meta` keys of 2026-07-28 that a request carries.
inline constexpr std::string_view kMetaProtocolVersion = "io.modelcontextprotocol/protocolVersion";
inline constexpr std::string_view kMetaClientCapabilities =
    "io.modelcontextprotocol/clientCapabilities";
inline constexpr std::string_view kMetaClientInfo = "io.modelcontextprotocol/clientInfo";
inline constexpr std::string_view kMetaLogLevel = "io.modelcontextprotocol/logLevel";
inline constexpr std::string_view kMetaServerInfo = "io.modelcontextprotocol/serverInfo";
inline constexpr std::string_view kMetaSubscriptionId = "io.modelcontextprotocol/subscriptionId";

/// What a modern request carries beside the client's own parameters.
struct ModernExtras {
  std::string_view log_level;        // JSON string text, or empty
  std::string_view input_responses;  // JSON object text of the last round, or empty
  std::string_view request_state;    // JSON string text of the last round, or empty
};

/// The params of a session client as a modern server wants them: `_meta` made from the face, the
/// client's other `_meta` (progressToken, trace context) kept. request_malformed if `params` is no
/// object.
Result<std::string> ModernParams(std::string_view params, const ClientFace& face,
                                 const ModernExtras& extras);

/// The params of a modern client without the per-request fields of its era. `log_level` gets the
/// JSON text of the level that was asked for, or is cleared. request_malformed if `params` is no
/// object.
Result<std::string> SessionParams(std::string_view params, std::string& log_level);

/// Adds to a result what 2026-07-28 requires and a session-era server does not say: `resultType`,
/// and for what may be cached `ttlMs` 0 and `cacheScope` private. What is there already stays.
void CompleteResult(std::string& result, std::string_view method);

/// The params with `_meta.progressToken` replaced by `token` (JSON text). `original` gets the token
/// that was there, or is cleared, and then nothing is changed.
Result<std::string> WithProgressToken(std::string_view params, std::string_view token,
                                      std::string& original);

/// The params with `_meta.traceparent` (SEP-414), which replaces one that is there. A `_meta` that
/// is no object stays as it is.
std::string WithTraceparent(std::string_view params, std::string_view traceparent);

/// params of initialize.
std::string InitializeParams(Revision revision, const ClientFace& face);

/// The answers of server/discover and initialize. upstream_protocol if they are not what the
/// specification says; a revision we do not know is left out (and if none is left the list is
/// empty).
Result<UpstreamFace> ReadDiscover(std::string_view result);
struct Initialized {
  UpstreamFace face;
  Revision revision = Revision::r2025_03_26;
  std::string version;  // as the server wrote it: the value of the header from now on
};
Result<Initialized> ReadInitialize(std::string_view result);

}  // namespace sallyport::mcp
