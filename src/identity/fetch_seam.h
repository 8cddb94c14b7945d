#pragma once

#include <chrono>
#include <functional>
#include <stop_token>
#include <string>
#include <vector>

#include "base/result.h"

namespace sallyport::identity {

/// One GET to an issuer. The limits are the caller's demand; whoever implements `Fetch` enforces
/// them while reading, follows no redirect, uses no proxy from the environment, and refuses private
/// addresses that are not in `allow_addresses` after name resolution. `net/fetch.h` is the real
/// implementation.
struct FetchRequest {
  std::string url;
  std::string ca_file;
  std::vector<std::string> allow_addresses;
  bool allow_loopback_http = false;
  size_t max_body = 512 * 1024;
  std::chrono::milliseconds timeout{5000};  // for the whole exchange
  std::stop_token stop;                     // ends it early, within a second
};

struct FetchResponse {
  int status = 0;
  std::string body;
  std::string cache_control;  // the header's value, empty if absent
};

/// Blocking; called on background threads of `IssuerSet` only, at most one call per issuer at a
/// time. The error's detail must not hold response bytes.
using Fetch = std::function<Result<FetchResponse>(const FetchRequest&)>;

}  // namespace sallyport::identity
