#pragma once

#include <chrono>
#include <cstddef>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace sallyport {

/// One outbound request to a party that the administrator named (an identity provider, a webhook),
/// with the limits that the caller demands of whoever carries it out: `net::FetchUrl`, or a fake in
/// tests. A value that lets the modules which ask and the one which does it not know each other.
struct FetchRequest {
  std::string url;
  std::string method = "GET";  // or POST
  std::string body;            // of POST
  std::vector<std::pair<std::string, std::string>> headers;
  std::string ca_file;  // PEM; replaces the system's authorities
  /// CIDRs or single addresses that may be connected to although they are not public.
  std::vector<std::string> allow_addresses;
  /// http and https to a host that is spelled 127.0.0.1, [::1] or localhost, and really is
  /// loopback.
  bool allow_loopback_http = false;
  size_t max_body = 512 * 1024;             // bytes, counted while reading
  std::chrono::milliseconds timeout{5000};  // for the whole exchange
  std::stop_token stop;                     // ends it early, within a second
};

struct FetchResponse {
  int status = 0;
  std::vector<std::pair<std::string, std::string>> headers;  // names in lower case
  std::string body;

  /// Value of the first header of that (lower-case) name, empty if there is none.
  std::string_view Header(std::string_view name) const {
    for (const auto& [n, value] : headers) {
      if (n == name) return value;
    }
    return {};
  }
};

}  // namespace sallyport
