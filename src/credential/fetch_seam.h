#pragma once

#include <functional>

#include "base/fetch.h"
#include "base/result.h"

namespace sallyport::credential {

/// How token endpoints are asked; `net::FetchUrl` in the product. Blocking; on threads of a Renewal
/// only. Lets no response bytes and no request fields into the error's detail.
using Fetch = std::function<Result<FetchResponse>(const FetchRequest&)>;

}  // namespace sallyport::credential
