#pragma once

#include <string>
#include <string_view>

namespace sallyport::credential {

/// `text` with everything percent-encoded but unreserved characters (RFC 3986 section 2.3), and
/// slashes where they are kept.
std::string PercentEncode(std::string_view text, bool keep_slash = false);

}  // namespace sallyport::credential
