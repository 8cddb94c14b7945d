#include <charconv>

#include "net/http_client.h"
#include "net/http_head.h"

namespace sallyport::net {
namespace {

std::unexpected<Error> Bad(std::string_view text, const char* why) {
  return Fail(Errc::config_invalid, std::string(text.substr(0, 200)) + ": " + why);
}

bool IsHostName(std::string_view host) {
  for (const char c : host) {
    const bool fits = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                      c == '-' || c == '.' || c == '_';
    if (!fits) return false;
  }
  return !host.empty() && host.size() <= 253;
}

/// The host of an authority without its port; brackets taken off. Empty if malformed.
std::string_view TakeHost(std::string_view& authority) {
  if (!authority.starts_with('[')) {
    const std::string_view host = authority.substr(0, authority.find(':'));
    authority.remove_prefix(host.size());
    return IsHostName(host) ? host : std::string_view();
  }
  const size_t end = authority.find(']');
  if (end == authority.npos) return {};
  const std::string_view host = authority.substr(1, end - 1);
  authority.remove_prefix(end + 1);
  const bool fits = host.find(':') != host.npos &&
                    host.find_first_not_of("0123456789abcdefABCDEF:.") == host.npos;
  return fits ? host : std::string_view();
}

}  // namespace

Result<Url> ParseUrl(std::string_view text) {
  std::string_view rest = text;
  Url url;
  if (rest.starts_with("http://")) {
    rest.remove_prefix(7);
  } else if (rest.starts_with("https://")) {
    rest.remove_prefix(8);
    url.origin.tls = true;
  } else {
    return Bad(text, "not an http or https URL");
  }
  for (const char c : rest) {
    if (uint8_t(c) <= 0x20 || uint8_t(c) >= 0x7f || c == '"' || c == '<' || c == '>' || c == '\\')
      return Bad(text, "a character that has to be percent-encoded");
  }
  if (rest.find('#') != rest.npos) return Bad(text, "a fragment");
  const size_t end = rest.find_first_of("/?");
  std::string_view authority = rest.substr(0, end);
  // Said without repeating the text: it may hold a password.
  if (authority.find('@') != authority.npos)
    return Fail(Errc::config_invalid, "a URL with user information");
  const std::string_view host = TakeHost(authority);
  if (host.empty()) return Bad(text, "a malformed host");
  url.origin.host = host;
  url.origin.port = url.origin.tls ? 443 : 80;
  if (!authority.empty()) {
    unsigned port = 0;
    const char* last = authority.data() + authority.size();
    const auto read = std::from_chars(authority.data() + 1, last, port);
    if (authority[0] != ':' || read.ec != std::errc() || read.ptr != last || port == 0 ||
        port > 65535)
      return Bad(text, "a malformed port");
    url.origin.port = uint16_t(port);
  }
  url.target = end == rest.npos ? "/" : std::string(rest.substr(end));
  if (url.target[0] == '?') url.target.insert(0, 1, '/');
  return url;
}

}  // namespace sallyport::net
