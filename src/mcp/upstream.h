#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/task.h"
#include "gate/gate.h"

namespace sallyport::mcp {

/// The protocol revisions that are spoken, oldest first (https://modelcontextprotocol.io/specification).
enum class Revision : uint8_t { r2025_03_26, r2025_06_18, r2025_11_25, r2026_07_28 };

std::string_view RevisionName(Revision r);                         // "2026-07-28"
std::optional<Revision> ParseRevision(std::string_view name);
inline bool IsModern(Revision r) { return r >= Revision::r2026_07_28; }  // stateless; else `initialize`

/// What the caller of a request is and can do, in the words of the newest revision. JSON texts are masked
/// already where they could carry content; they go upstream as they are.
struct ClientFace {
  Revision revision = Revision::r2025_11_25;
  std::string capabilities = "{}";  // JSON object: declared by the client, minus what policy forbids
  std::string info;                 // JSON object clientInfo, or empty; self-reported
  std::shared_ptr<const op::Session> caller;  // whose conversation it is; null: nobody's (a probe)
};

/// One request to the upstream. `params` is the JSON text of the params object as the client sent it, after
/// policy rewrites; for a modern client it has its `_meta`. The id is the upstream's own, never the client's.
struct UpstreamRequest {
  std::string method;
  std::string params;                                          // JSON object text, or empty
  std::vector<std::pair<std::string, std::string>> headers;    // Mcp-Param-*, already checked against params
  std::string name;                                            // source of Mcp-Name, empty if none
};

/// The answer: exactly one of a result object and an error object, as JSON text, unmasked.
struct UpstreamAnswer {
  bool error = false;
  std::string json;
};

/// What happens before the answer. Implemented by the front-end, called on the shard of the call, one at a
/// time, in the order of arrival; the upstream is not read further until it returns (back-pressure).
class UpstreamEvents {
 public:
  virtual ~UpstreamEvents() = default;
  /// A whole JSON-RPC notification, unmasked. An error cancels the call.
  virtual Task<> OnNotification(std::string message) = 0;
  /// A request of the server to the client: sampling/createMessage, elicitation/create, roots/list. Returns
  /// the client's answer (result or JSON-RPC error object), which goes back upstream.
  virtual Task<UpstreamAnswer> OnRequest(std::string method, std::string params) = 0;
};

/// One conversation with an upstream on behalf of one caller, on one shard. For a client of the session eras
/// it lives as long as the MCP session and owns one upstream session; for a modern client and a modern
/// upstream it keeps no state. It hides the upstream's era:
///  * modern upstream, modern client: the request passes with the client's `_meta`; an `input_required`
///    result is handed back as the answer.
///  * modern upstream, session client: `_meta` is made from the ClientFace; on `input_required` each input
///    request goes to OnRequest and the call is repeated with the responses until it completes.
///  * session-era upstream: `initialize` is done when first needed, with the client's capabilities; requests
///    of the server go to OnRequest; `resultType`, `ttlMs` and `cacheScope` are added for a modern client.
/// A dual-era upstream is spoken to in the client's own era.
class UpstreamPeer {
 public:
  virtual ~UpstreamPeer() = default;

  /// Sends and waits for the answer. Dropping or cancelling the awaiting coroutine cancels the call upstream
  /// in the way of its era (closing the stream, or notifications/cancelled).
  virtual Task<UpstreamAnswer> Call(const gate::Permit& permit, UpstreamRequest request, UpstreamEvents& events) = 0;
  /// Cancels the calls in progress that carry this token (set by the caller in CallToken); used when the
  /// client has cancelled.
  virtual void Cancel(uint64_t token) = 0;
  /// The token that the next Call will carry.
  virtual uint64_t NextToken() const = 0;

  /// A notification of the client, e.g. notifications/roots/list_changed. Not sent where the upstream's era
  /// has no such thing.
  virtual Task<> Notify(const gate::Permit& permit, std::string method, std::string params) = 0;

  /// Messages outside any call: list changes, resource updates, log messages of session-era servers. Runs
  /// until the peer is closed or the events object answers with an error. For a modern upstream this is a
  /// subscriptions/listen with `filter` (JSON object text), else the GET stream. `upstream_closed` at its end.
  virtual Task<> Listen(const gate::Permit& permit, std::string filter, UpstreamEvents& events) = 0;

  /// Ends the upstream session (DELETE) or stops the process that belongs to this peer alone.
  virtual void Close() = 0;
};

/// What an upstream says about itself (server/discover or initialize), unmasked.
struct UpstreamFace {
  std::vector<Revision> revisions;  // that it speaks, oldest first
  std::string capabilities = "{}";
  std::string info = "{}";          // serverInfo
  std::string instructions;         // plain text, may be empty
};

/// An upstream MCP server, one object per connection and shard. The kinds are Streamable HTTP and stdio.
class McpUpstream {
 public:
  virtual ~McpUpstream() = default;
  /// Asks once and remembers; asks again after a failure, after a restart of the process, and when `fresh`.
  /// `wanted` is the era of the client that needs to know: a dual-era server is described in that era.
  virtual Task<UpstreamFace> Describe(const gate::Permit& permit, Revision wanted, bool fresh) = 0;
  virtual std::unique_ptr<UpstreamPeer> Open(ClientFace client) = 0;
  virtual size_t peers() const = 0;
};

}  // namespace sallyport::mcp
