#pragma once

#include <string_view>

#include "op/session.h"

namespace sallyport::policy {

/// Whether `selector` ("any", "group:x", "user:x", "agent:x") speaks of `who`, as in a rule's
/// `who`. Groups that the provider left out (Principal::groups_complete) count as not there.
bool Speaks(std::string_view selector, const op::Principal& who);

}  // namespace sallyport::policy
