#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "mcp/mask_message.h"

namespace sallyport::mcp {

/// A cheap look: false if the text surely has no base64 content (`blob`, or `data` of images and
/// sounds).
bool MayHoldOpaque(std::string_view json);

/// Treats every base64 content of a message in place. Text types are decoded, masked and encoded
/// again; others follow the content rules (pass, strip, refuse). `keep` gets the pointers of what
/// was treated, so that the masker does not take base64 for text. content_type_refused,
/// sad_refused, mask_failed.
Result<> TreatOpaque(const MaskRules& rules, std::string& json, std::vector<std::string>& keep,
                     std::vector<op::MaskCount>& counts);

}  // namespace sallyport::mcp
