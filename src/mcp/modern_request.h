#pragma once

#include "mcp/call.h"
#include "mcp/era.h"

namespace sallyport::mcp {

/// A Call of a modern client, complete but for verb, peer and slot.
std::shared_ptr<Call> MakeModernCall(Visit& visit, const CallerPtr& caller,
                                     std::shared_ptr<const Incoming> in,
                                     const ClientMessage& message);

/// The conversation with the upstream for this caller and what its client can do; kept with the
/// caller, so that no two callers ever share one. limit_exceeded if it uses too many at the same
/// time.
Result<std::shared_ptr<UpstreamPeer>> ModernPeer(Caller& caller, const Place& place,
                                                 const MaskRules& rules, json::Value meta);

}  // namespace sallyport::mcp
