#include "mask/scan.h"

namespace sallyport::mask {

bool MayHoldCardData(std::string_view bytes) { return !bytes.empty(); }

}  // namespace sallyport::mask
