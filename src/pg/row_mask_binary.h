#pragma once

#include <string_view>

#include "mask/impl.h"

namespace sallyport::pg {

/// A first look at a binary int8, float8, numeric or money: false means that it is too small or
/// too large for a card number.
bool BinaryNumberMayBeCard(std::string_view type, std::string_view value);

/// Whether a binary range, multirange or money holds a card number; there is no masked form of
/// these but NULL.
bool BinaryHoldsCard(const mask::Masker::Impl& impl, std::string_view type, std::string_view value,
                     const mask::Context& context);

}  // namespace sallyport::pg
