#pragma once

#include <optional>
#include <string_view>

#include "mcp/client_message.h"
#include "mcp/connection.h"
#include "mcp/mask_message.h"
#include "op/operation.h"

namespace sallyport::mcp {

/// What a method is in the gate's words; nullopt for a method that the gateway does not know, which
/// is then refused: what cannot be classified does not pass.
std::optional<op::Verb> VerbOf(std::string_view method, bool modern);

/// The request in no protocol's words. Views into `message` and `connection`. `definition` (may be
/// null) can raise the effect. sad_refused: the arguments hold what a detector blocks; mask_failed:
/// the name of the tool, prompt or resource holds what may not be written down, or the arguments
/// cannot be read.
Result<op::Operation> ToOperation(const Connection& connection, const ClientMessage& message,
                                  op::Verb verb, const MaskRules& rules,
                                  const ToolDefinition* definition);

}  // namespace sallyport::mcp
