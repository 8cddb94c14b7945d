#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "net/http.h"

namespace sallyport::net {

/// Which Host and Origin a request may carry: the defence against DNS rebinding (MCP, Streamable
/// HTTP, "Security"). Names compare without case. Immutable.
class OriginCheck {
 public:
  /// `public_url` gives the one host and the one origin; when it is a loopback address every
  /// loopback name with the same port is good, because that is what clients on the machine write.
  /// `hosts` and `origins` are the operator's additions, "host:port" and "scheme://host[:port]".
  OriginCheck(std::string_view public_url, const std::vector<std::string>& hosts,
              const std::vector<std::string>& origins);

  /// request_malformed: several Host or Origin fields; host_refused; origin_refused.
  Result<> Check(const Headers& headers) const;

  /// The Origin of a request, if it is one of the operator's additions: pages there may read the
  /// answer (cross_origin.h). Null for our own pages, and for programs. Lives as long as this.
  const std::string* Listed(const Headers& headers) const;

 private:
  std::vector<std::string> hosts_, origins_, listed_;  // lower case
};

}  // namespace sallyport::net
