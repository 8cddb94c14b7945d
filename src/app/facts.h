#pragma once

#include <nlohmann/json.hpp>

#include "mask/masker.h"
#include "op/masked.h"

namespace sallyport::app {

/// `facts` of an entry: figures and names of an event, masked like all that is kept. What cannot be
/// masked, or is longer than 32 KiB then, is `{"unreadable":true}`: the event itself is recorded.
MaskedText Facts(const mask::Masker& masker, const nlohmann::ordered_json& object);

}  // namespace sallyport::app
