#pragma once

#include <string_view>

#include "base/error.h"

namespace sallyport::api {

/// What a transmitter of events is told of a refusal (RFC 8935 section 2.4).
std::string_view EventErrorName(Errc code);

}  // namespace sallyport::api
