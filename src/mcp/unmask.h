#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "mcp/client_message.h"
#include "mcp/mask_message.h"
#include "op/unmask.h"

namespace sallyport::mcp {

/// `_meta` member of tools/call by which a client asks for values in clear:
/// {"detectors":["pan"],"reason":"…"}. For the gateway only: it never goes upstream.
constexpr std::string_view kUnmaskMeta = "sallyport/unmask";

/// What the request asks for; nullopt (nearly always): nothing. request_malformed: another form, or
/// a method that has no values to show.
Result<std::optional<op::UnmaskAsk>> ReadUnmask(const ClientMessage& message,
                                                const MaskRules& rules);

/// The params (JSON text of an object) without that member.
std::string WithoutUnmask(std::string_view params);

}  // namespace sallyport::mcp
