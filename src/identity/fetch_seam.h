#pragma once

#include <functional>

#include "base/fetch.h"
#include "base/result.h"

namespace sallyport::identity {

/// How keys are fetched; `net::FetchUrl` in the product. Blocking; called on background threads
/// only, at most one call per issuer at a time. Whoever implements it enforces the limits of the
/// request, and lets no response bytes into the error's detail.
using Fetch = std::function<Result<FetchResponse>(const FetchRequest&)>;

}  // namespace sallyport::identity
