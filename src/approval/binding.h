#pragma once

#include <string>

#include "approval/request.h"
#include "op/operation.h"

namespace sallyport::approval {

/// The exact arguments as one JSON text (docs/formats/approval.md): of MCP the arguments and the
/// answers that come with them, members sorted, white space between tokens removed, numbers and
/// strings as written; of SQL the text, then each parameter with type, format and bytes. Two
/// operations have the same text exactly if the upstream would get the same. Holds what the caller
/// wrote, card numbers included: it must be sealed before it is stored and never logged.
std::string ExactOf(const op::Operation& operation);

/// The canonical JSON that an approver decides about. Everything in it may be logged: the exact
/// arguments stand in it as a keyed digest.
std::string Binding(const Request& request);

/// Hex SHA-256 of Binding(): the challenge of a passkey, and what Redeem compares.
std::string DigestOf(const Request& request);

/// "tool", "prompt", "resource", "completion" or "sql".
std::string_view KindName(op::Verb verb);
std::string_view EffectName(op::Effect effect);

}  // namespace sallyport::approval
