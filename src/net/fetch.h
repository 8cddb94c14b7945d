#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/fetch.h"
#include "base/result.h"

namespace sallyport::net {

/// Does the exchange on this thread, over https (TLS 1.2 or later, certificate and name checked).
///
/// Not for the data path: it blocks. See HttpClient for that.
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
Result<FetchResponse> FetchUrl(const FetchRequest& request);

/// As FetchUrl, and plain http to every host that may be connected to: for what is no secret, and
/// where the administrator said so.
Result<FetchResponse> FetchPlainUrl(const FetchRequest& request);

/// What the address filter thinks of a textual IP address: success if it is public unicast or
/// inside one of `allow` (CIDRs or addresses). upstream_unreachable if not, config_invalid if
/// something does not parse. IPv4 inside IPv6 (mapped, NAT64, 6to4) counts as the IPv4 address it
/// leads to.
Result<> CheckAddress(std::string_view address, const std::vector<std::string>& allow);

}  // namespace sallyport::net
