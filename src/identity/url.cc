#include "identity/url.h"

#include <algorithm>
#include <cctype>

namespace sallyport::identity {
namespace {

bool HostChar(char c) { return std::isalnum(uint8_t(c)) || c == '.' || c == '-'; }

std::unexpected<Error> Bad(const char* what) { return Fail(Errc::config_invalid, what); }

Result<> CheckHost(std::string_view host) {
  if (host.starts_with('[')) {
    if (host.size() < 4 || !host.ends_with(']')) return Bad("has a malformed IPv6 host");
    host = host.substr(1, host.size() - 2);
    bool ok = std::ranges::all_of(
        host, [](char c) { return std::isxdigit(uint8_t(c)) || c == ':' || c == '.'; });
    if (!ok) return Bad("has a malformed IPv6 host");
    return {};
  }
  if (host.empty() || !std::ranges::all_of(host, HostChar)) return Bad("has a malformed host");
  return {};
}

/// `part` between host and path of `issuer`.
std::string Inserted(std::string_view issuer, std::string_view part) {
  if (issuer.ends_with('/')) issuer.remove_suffix(1);
  const size_t host = issuer.find("://");
  const size_t path = issuer.find('/', host == issuer.npos ? 0 : host + 3);
  std::string url(issuer.substr(0, path));
  url += part;
  if (path != issuer.npos) url += issuer.substr(path);
  return url;
}

}  // namespace

Result<IssuerUrl> ParseIssuerUrl(std::string_view url) {
  if (url.size() > 2048) return Bad("is longer than 2048 bytes");
  if (!std::ranges::all_of(url, [](char c) { return c > ' ' && c < 0x7f && c != '\\'; })) {
    return Bad("has white space, a backslash or a character that is not ASCII");
  }
  IssuerUrl out;
  if (url.starts_with("https://")) {
    out.https = true;
  } else if (!url.starts_with("http://")) {
    return Bad("must begin with https://");
  }
  std::string_view rest = url.substr(out.https ? 8 : 7);
  if (rest.find_first_of("?#") != rest.npos) return Bad("must have no query and no fragment");
  std::string authority(rest.substr(0, rest.find('/')));
  if (authority.contains('@')) return Bad("must have no user name");
  std::ranges::transform(authority, authority.begin(), [](uint8_t c) { return char(tolower(c)); });

  size_t colon = authority.find(':', authority.starts_with('[') ? authority.find(']') : 0);
  std::string host = authority.substr(0, colon);
  std::string port = colon == authority.npos ? "" : authority.substr(colon + 1);
  SALLYPORT_CHECK(CheckHost(host));
  if (colon != authority.npos &&
      (port.empty() || port.size() > 5 ||
       !std::ranges::all_of(port, [](uint8_t c) { return isdigit(c); }))) {
    return Bad("has a malformed port");
  }
  out.loopback = host == "127.0.0.1" || host == "[::1]" || host == "localhost";
  out.origin = (out.https ? "https://" : "http://") + host;
  if (!port.empty() && port != (out.https ? "443" : "80")) out.origin += ":" + port;
  return out;
}

std::string DiscoveryUrl(std::string_view issuer) {
  if (issuer.ends_with('/')) issuer.remove_suffix(1);
  return std::string(issuer) + "/.well-known/openid-configuration";
}

std::string OauthMetadataUrl(std::string_view issuer) {
  return Inserted(issuer, "/.well-known/oauth-authorization-server");
}

std::string SignalsUrl(std::string_view issuer) {
  return Inserted(issuer, "/.well-known/ssf-configuration");
}

}  // namespace sallyport::identity
