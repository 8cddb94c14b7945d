#pragma once

#include <chrono>
#include <cstdint>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

namespace sallyport::net {

/// One outbound request to a party that the administrator named (an identity provider, a webhook).
/// Not for the data path: it blocks. See HttpClient for that.
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
  size_t max_body = 512 * 1024;
  std::chrono::milliseconds timeout{5000};  // for the whole exchange
  std::stop_token stop;                     // ends it early, within a second
};

struct FetchResponse {
  int status = 0;
  std::vector<std::pair<std::string, std::string>> headers;  // names in lower case
  std::string body;

  /// Value of the first header of that (lower-case) name, empty if there is none.
  std::string_view Header(std::string_view name) const;
};

/// Does the exchange on this thread, over https (TLS 1.2 or later, certificate and name checked).
///
/// Bounds: no redirect is followed (a 3xx is the response), no proxy and no .netrc of the
/// environment is used, the body is cut off with upstream_too_large as soon as it is longer than
/// `max_body`, header lines together have at most 64 KiB. The peer's address is judged after name
/// resolution, just before connecting, so neither another spelling of an address nor a name that
/// changes its mind (DNS rebinding) leads to an internal host.
///
/// Errors: config_invalid (URL, CIDR), upstream_unreachable (also: address refused, certificate not
/// trusted), upstream_timeout, upstream_too_large, upstream_protocol, cancelled. Details hold no
/// response bytes and no request headers. Thread-safe; the process has to ignore SIGPIPE, as every
/// server does.
Result<FetchResponse> Fetch(const FetchRequest& request);

/// What the address filter thinks of a textual IP address: success if it is public unicast or
/// inside one of `allow` (CIDRs or addresses). upstream_unreachable if not, config_invalid if
/// something does not parse. IPv4 inside IPv6 (mapped, NAT64, 6to4) counts as the IPv4 address it
/// leads to.
Result<> CheckAddress(std::string_view address, const std::vector<std::string>& allow);

}  // namespace sallyport::net
