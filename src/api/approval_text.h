#pragma once

#include <string>
#include <string_view>

#include "approval/desk.h"

namespace sallyport::api {

/// Whether `viewer` may look at a request: who asks, who decides about it (now or then), the owner
/// of the agent that asks; `role` is true for approvers, auditors and administrators.
bool MaySee(const approval::Request& request, const op::Principal& viewer, bool role);

/// "changes data": what an operation of this effect does, for people.
std::string_view EffectInWords(op::Effect effect);

/// "shows up to 20 values of pan in clear to Ana, within 15 min of the approval"; of a request with
/// `unmask`.
std::string UnmaskInWords(const approval::Request& request);

/// A request as `viewer` sees it, docs/api.md: whole, its arguments masked, whether they may decide
/// and why not.
std::string ApprovalJson(const approval::Desk& desk, const approval::Request& request,
                         const op::Principal& viewer);

}  // namespace sallyport::api
