#pragma once

#include <optional>

#include "mcp/call.h"

namespace sallyport::mcp {

/// What a caller is told whose own account at the upstream has to be linked (`error` is
/// upstream_link_needed, with the page in its detail), in the best way that the client declared:
///
///  1. 2026-07-28 with URL elicitation: `input_required` with the page. The repeated call waits a
///     while for the link, and goes on once it is there;
///  2. the session eras with URL elicitation: the error -32042 of 2025-11-25 with the page;
///  3. otherwise an error with the link in its text and in `link_url`.
WireAnswer LinkAnswer(Call& call, const Error& error, std::string_view decision_id,
                      bool output_schema);

/// Of a call that an approver would have to decide about: what is still missing of its person. An
/// approval counts once, and should not be used up by a call that cannot run.
std::optional<Error> LinkMissing(const Call& call, const op::Operation& operation);

/// Of a call that was repeated because of 1: waits until the account is linked anew, at most as
/// long as `server.limits.approval_hold`. The answer to give instead of going on, or none.
boost::asio::awaitable<std::optional<WireAnswer>> AwaitLink(Call& call);

}  // namespace sallyport::mcp
