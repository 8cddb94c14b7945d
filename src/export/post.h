#pragma once

#include <functional>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/fetch.h"
#include "base/result.h"
#include "export/config.h"

namespace sallyport::exporting {

/// net::FetchUrl, net::FetchPlainUrl, or what stands for it in a test.
using Fetch = std::function<Result<FetchResponse>(const FetchRequest&)>;

using HeaderList = std::vector<std::pair<std::string, std::string>>;

/// A receiver that speaks HTTP.
struct Receiver {
  Fetch fetch;
  Reach reach;
  std::stop_token stop;
};

/// One POST. Success: the receiver has answered 2xx, 400, 413 or 422: what that means is for the
/// caller to say. upstream_login_failed for 401 and 403, upstream_protocol for the rest; details
/// hold the number and nothing of the answer.
Result<FetchResponse> Post(const Receiver& receiver, std::string url, std::string body,
                           HeaderList headers);

inline bool Taken(const FetchResponse& response) {
  return response.status >= 200 && response.status < 300;
}

}  // namespace sallyport::exporting
