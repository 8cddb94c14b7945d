#pragma once

#include <string_view>

namespace sallyport::mask {

/// False when the bytes surely hold no card number, code or blob in any notation that is looked
/// for.
bool MayHoldCardData(std::string_view bytes);

}  // namespace sallyport::mask
