#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <chrono>
#include <functional>
#include <memory>

#include "credential/credential.h"
#include "mcp/upstream.h"
#include "net/http_client.h"

namespace sallyport::mcp {

/// What a Streamable HTTP upstream is made of. `client` must outlive the upstream and its peers;
/// its own limits bound the connect, the wait for the head (set it to the call's limit: a tool that
/// answers with JSON says nothing until it is done) and the silence between two reads.
struct HttpUpstreamOptions {
  boost::asio::any_io_executor executor;  // of the shard
  std::string name;                       // of the connection, for log and metrics
  net::HttpClient* client = nullptr;
  std::shared_ptr<net::HttpClient> owned_client;
  net::Url url;
  /// Adds the gateway's credential to a request. Called for each request, so that the secret is
  /// revealed only there and a rotated one is used at once. May be empty.
  std::function<void(net::Headers&)> credential;
  /// A credential that depends on the request, or is renewed while in use; null where `credential`
  /// says all. Where the upstream refuses it, the request is sent once more with another one, if
  /// there is another one.
  credential::CredentialPtr live_credential;
  uint64_t message_bytes = 32u << 20;                  // one JSON body or one event
  std::chrono::milliseconds call_timeout{300'000};     // one call with all its rounds
  std::chrono::milliseconds describe_timeout{30'000};  // a probe or an initialize
};

/// An upstream over Streamable HTTP of 2026-07-28 and of the session eras (2025-03-26 to
/// 2025-11-25). Lives on one shard, outlives its peers.
///
/// Answers of a JSON-RPC error are answers (`error`). The errors of a call are:
/// upstream_unreachable, upstream_timeout, upstream_closed (the stream or the session ended before
/// the answer), upstream_too_large, upstream_protocol (not MCP, an unexpected status, a redirect, a
/// refused credential; never with a body of the upstream in the detail), cancelled,
/// upstream_credential_failed (nothing was sent), request_malformed and header_invalid (of what was
/// to be sent), and whatever the events object failed with.
std::unique_ptr<McpUpstream> MakeHttpUpstream(HttpUpstreamOptions options);

}  // namespace sallyport::mcp
