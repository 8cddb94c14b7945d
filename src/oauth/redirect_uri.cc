#include "oauth/redirect_uri.h"

#include <algorithm>
#include <array>
#include <charconv>

namespace sallyport::oauth {
namespace {

constexpr size_t kLongest = 1024;

std::unexpected<Error> Wrong(const char* what) {
  return Fail(Errc::request_malformed, std::string("redirect URI: ") + what);
}

bool IsAlpha(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool IsDigit(char c) { return c >= '0' && c <= '9'; }
bool IsHex(char c) { return IsDigit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'); }

/// Characters of a URI (RFC 3986 section 2) that no two readers disagree about. A star is one of
/// them, but who registers it means a wildcard.
bool IsPlain(char c) {
  return IsAlpha(c) || IsDigit(c) ||
         std::string_view("-._~:/?[]@!$&'()+,;=%").find(c) != std::string_view::npos;
}

/// Escapes are whole and hide no control character, slash, backslash or dot.
Result<> CheckEscapes(std::string_view text) {
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') continue;
    if (i + 2 >= text.size() || !IsHex(text[i + 1]) || !IsHex(text[i + 2]))
      return Wrong("an escape that is not whole");
    unsigned value = 0;
    std::from_chars(text.data() + i + 1, text.data() + i + 3, value, 16);
    if (value < 0x20 || value == 0x7f || value == '/' || value == '\\' || value == '.')
      return Wrong("an escaped control character, slash or dot");
  }
  return {};
}

bool IsHost(std::string_view host) {
  if (host.starts_with('[')) return host == "[::1]";
  if (host.empty() || host.size() > 253 || host.starts_with('.') || host.starts_with('-') ||
      host.ends_with('.') || host.find("..") != host.npos)
    return false;
  return std::ranges::all_of(
      host, [](char c) { return IsAlpha(c) || IsDigit(c) || c == '-' || c == '.'; });
}

bool IsPort(std::string_view port) {
  unsigned value = 0;
  const auto [end, e] = std::from_chars(port.data(), port.data() + port.size(), value);
  return e == std::errc() && end == port.data() + port.size() && value >= 1 && value <= 65535 &&
         !port.starts_with('0');
}

/// A path that a browser does not change before it asks for it, and a query without the names that
/// the answer adds.
Result<> CheckRest(std::string_view rest) {
  const std::string_view path = rest.substr(0, rest.find('?'));
  if (path.find("/../") != path.npos || path.find("/./") != path.npos || path.ends_with("/..") ||
      path.ends_with("/."))
    return Wrong("a relative path");
  if (path.size() == rest.size()) return {};
  const std::string query = "&" + std::string(rest.substr(path.size() + 1)) + "&";
  for (const char* name : {"code", "state", "iss", "error"}) {
    if (query.find("&" + std::string(name) + "=") != query.npos ||
        query.find("&" + std::string(name) + "&") != query.npos)
      return Wrong("its query holds a name that the answer adds");
  }
  return {};
}

/// Schemes that a browser acts upon itself.
bool IsDangerous(std::string_view scheme) {
  static constexpr std::array kDangerous{
      "javascript", "data", "vbscript",    "file",    "blob",          "about", "view-source",
      "filesystem", "ws",   "wss",         "ftp",     "intent",        "jar",   "mailto",
      "tel",        "http", "ms-settings", "content", "ms-cxh",        "shell", "chrome",
      "search-ms",  "ssh",  "telnet",      "ldap",    "chrome-search", "urn",   "view"};
  return std::ranges::find(kDangerous, scheme) != kDangerous.end();
}

Result<RedirectUri> ParseNative(RedirectUri uri, std::string scheme, std::string_view rest,
                                bool trusted) {
  if (IsDangerous(scheme)) return Wrong("a scheme that browsers act upon themselves");
  if (!trusted && scheme.find('.') == scheme.npos)
    return Wrong("write https, http to a loopback address, or a scheme with a dot");
  if (rest.find('@') != rest.npos) return Wrong("a user name");
  SALLYPORT_CHECK(CheckRest(rest));
  uri.kind = RedirectUri::Kind::native;
  uri.host = std::move(scheme);
  uri.rest = rest;
  return uri;
}

}  // namespace

Result<RedirectUri> RedirectUri::Parse(std::string_view text, bool trusted) {
  if (text.size() > kLongest) return Wrong("longer than 1024 bytes");
  if (!std::ranges::all_of(text, IsPlain))
    return Wrong("a fragment, a wildcard, a blank or another character that has no place there");
  SALLYPORT_CHECK(CheckEscapes(text));
  const size_t colon = text.find(':');
  if (colon == text.npos || colon == 0 || colon > 64 || !IsAlpha(text[0]))
    return Wrong("no absolute URI");
  const std::string scheme(text.substr(0, colon));
  const bool lower = std::ranges::all_of(scheme, [](char c) {
    return (c >= 'a' && c <= 'z') || IsDigit(c) || c == '+' || c == '-' || c == '.';
  });
  if (!lower) return Wrong("write the scheme in lower case");
  std::string_view rest = text.substr(colon + 1);
  RedirectUri uri{.text = std::string(text)};
  if (scheme != "https" && scheme != "http")
    return ParseNative(std::move(uri), scheme, rest, trusted);
  if (!rest.starts_with("//")) return Wrong("the host is missing");
  rest.remove_prefix(2);
  std::string_view authority = rest.substr(0, rest.find_first_of("/?"));
  rest.remove_prefix(authority.size());
  if (authority.find('@') != authority.npos) return Wrong("a user name");
  const size_t end = authority.starts_with('[') ? authority.find(']') : authority.find(':');
  if (end == authority.npos && authority.starts_with('[')) return Wrong("the host is not whole");
  std::string_view host =
      authority.substr(0, authority.starts_with('[') ? end + 1 : std::min(end, authority.size()));
  std::string_view port = authority.substr(host.size());
  if (!IsHost(host)) return Wrong("that is no host");
  if (!port.empty()) {
    port.remove_prefix(1);
    if (!IsPort(port)) return Wrong("that is no port");
  }
  uri.host = host;
  std::ranges::transform(uri.host, uri.host.begin(),
                         [](char c) { return c >= 'A' && c <= 'Z' ? char(c + 32) : c; });
  uri.port = port;
  uri.rest = rest;
  SALLYPORT_CHECK(CheckRest(rest));
  if (rest.find('@') != rest.npos && rest.find('@') < rest.find('?'))
    return Wrong("an @ in the path");
  if (scheme == "https") return uri;
  if (uri.host != "127.0.0.1" && uri.host != "[::1]" && uri.host != "localhost")
    return Wrong("http is for loopback addresses only");
  uri.kind = Kind::loopback;
  return uri;
}

bool RedirectUri::Allows(const RedirectUri& given) const {
  if (text == given.text) return true;
  return kind == Kind::loopback && given.kind == Kind::loopback && host == given.host &&
         rest == given.rest;
}

std::string RedirectUri::Portless() const {
  return kind == Kind::loopback ? "http://" + host + rest : text;
}

}  // namespace sallyport::oauth
