#pragma once

#include "mcp/call.h"
#include "mcp/era.h"
#include "mcp/pump.h"

namespace sallyport::mcp {

// The session eras. A session lives on one shard, the exchange perhaps on another: what concerns
// the session runs on its shard (RunOn), what concerns the exchange on the exchange's.

/// Which session an exchange names. request_malformed, session_unknown.
Result<std::string> SessionIdOf(const Visit& visit);
/// The shard that the id names; session_unknown.
Result<ShardState*> HomeOf(const Visit& visit, std::string_view id);

/// On the session's shard: the session, if it is this principal's at this connection.
/// session_unknown; session_foreign (recorded as such, told as unknown).
Result<LegacySessionPtr> FindSession(const Visit& visit, ShardState& home, std::string_view id);

/// The client's capabilities as the upstream may know them: minus what the connection forbids.
std::string DeclaredCapabilities(const Connection& connection, json::Value capabilities);

/// legacy_call.cc. On the session's shard: a Call for a request of the session, complete but for
/// `out`.
std::shared_ptr<Call> MakeLegacyCall(Front& front, ShardState& home,
                                     const LegacySessionPtr& session,
                                     std::shared_ptr<const Settings> settings,
                                     std::shared_ptr<const Incoming> in,
                                     const ClientMessage& message);
/// legacy_call.cc. A notification or response of the client.
void TakeLegacyMessage(Front& front, ShardState& home, const LegacySessionPtr& session,
                       const std::shared_ptr<const Settings>& settings,
                       const std::shared_ptr<const Incoming>& in, const ClientMessage& message);
/// legacy_listen.cc: hears the upstream for the whole session, until that is closed.
boost::asio::awaitable<void> ListenForSession(Front& front, ShardState& home,
                                              LegacySessionPtr session,
                                              std::shared_ptr<const Settings> settings);
/// legacy_initialize.cc.
boost::asio::awaitable<void> ServeInitialize(Visit& visit, std::shared_ptr<Incoming> in,
                                             const ClientMessage& message);

}  // namespace sallyport::mcp
