#pragma once

#include <string>

#include "base/result.h"
#include "secrets/source.h"

namespace sallyport::saml {

/// The text of a provider's metadata as it is now: a file of at most 1 MiB, or another kind of
/// reference. not_found, io_failed, config_invalid; errors name the place.
Result<std::string> ReadSource(const secrets::Ref& ref);

}  // namespace sallyport::saml
