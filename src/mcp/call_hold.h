#pragma once

#include <expected>

#include "mcp/call.h"

namespace sallyport::mcp {

/// The gate's permit for a call, or the answer to give instead. A call that needs an approval is
/// held in the best way that its client declared on this very request (docs/mcp.md, "Held calls"):
///
///  1. tasks extension: the answer is a task, which runs when it is approved (gate_task.h);
///  2. URL elicitation: `input_required` with the link, then as 3;
///  3. 2026-07-28: the answer is awaited for a while, then `input_required` with a requestState
///     alone, so that the client asks again; no state stays here in between;
///  4. a progressToken: progress while it waits, in 2 to 5;
///  5. otherwise it waits within the client's patience (`server.limits.approval_hold`), then the
///     answer is a tool error with the link, and the same call again finds the approval.
///
/// Nothing goes upstream before the permit. A client that goes away leaves its request for the next
/// attempt; one that says that it does not want the call any more takes it back.
boost::asio::awaitable<std::expected<gate::Permit, WireAnswer>> AdmitOrHold(
    Call& call, const op::Operation& operation, bool output_schema);

/// What the client is told when a request for approval came to an end that is not an approval.
WireAnswer ClosedAnswer(approval::Desk& desk, op::Refusal refusal, const WireContext& context);

}  // namespace sallyport::mcp
