#include "net/origin_check.h"

#include <algorithm>

namespace sallyport::net {
namespace {

std::string Lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

/// "host" and "host:443" name the same place when the scheme's own port is meant.
void AddHost(std::vector<std::string>& hosts, std::string host, std::string_view default_port) {
  const std::string tail = ":" + std::string(default_port);
  const size_t bracket = host.rfind(']');
  const size_t colon = host.find(':', bracket == std::string::npos ? 0 : bracket);
  if (colon == std::string::npos)
    hosts.push_back(host + tail);
  else if (host.ends_with(tail))
    hosts.push_back(host.substr(0, colon));
  hosts.push_back(std::move(host));
}

/// The scheme's own port is left out (RFC 6454 section 6.2).
std::string AsBrowsersSay(std::string origin) {
  const std::string_view port = origin.starts_with("https:") ? ":443" : ":80";
  if (origin.ends_with(port)) origin.resize(origin.size() - port.size());
  return origin;
}

}  // namespace

OriginCheck::OriginCheck(std::string_view public_url, const std::vector<std::string>& hosts,
                         const std::vector<std::string>& origins) {
  const std::string url = Lower(public_url);
  const size_t at = url.find("://");
  const std::string scheme = at == std::string::npos ? "https" : url.substr(0, at);
  const std::string_view port = scheme == "http" ? "80" : "443";
  std::string authority = at == std::string::npos ? url : url.substr(at + 3);
  authority = authority.substr(0, authority.find('/'));
  const size_t colon = authority.rfind(':');
  const bool has_port =
      colon != std::string::npos && authority.find(']', colon) == std::string::npos;
  const std::string name = has_port ? authority.substr(0, colon) : authority;
  const std::string port_part = has_port ? authority.substr(colon) : "";
  std::vector<std::string> names = {name};
  if (name == "localhost" || name.starts_with("127.") || name == "[::1]")
    names = {name, "localhost", "127.0.0.1", "[::1]"};
  for (const std::string& n : names) {
    AddHost(hosts_, n + port_part, port);
    std::vector<std::string> spellings;
    AddHost(spellings, n + port_part, port);
    for (const std::string& s : spellings) origins_.push_back(scheme + "://" + s);
  }
  for (const std::string& host : hosts) AddHost(hosts_, Lower(host), port);
  for (const std::string& origin : origins) listed_.push_back(AsBrowsersSay(Lower(origin)));
}

const std::string* OriginCheck::Listed(const Headers& headers) const {
  const auto origin = headers.Find("Origin");
  if (!origin) return nullptr;
  const auto found = std::ranges::find(listed_, Lower(*origin));
  return found == listed_.end() ? nullptr : &*found;
}

Result<> OriginCheck::Check(const Headers& headers) const {
  if (headers.Count("Host") > 1 || headers.Count("Origin") > 1) {
    return Fail(Errc::request_malformed, "a Host or Origin field occurs twice");
  }
  const auto host = headers.Find("Host");
  if (!host || std::ranges::find(hosts_, Lower(*host)) == hosts_.end()) {
    return Fail(Errc::host_refused, "the Host field does not name this gateway");
  }
  const auto origin = headers.Find("Origin");
  if (origin && std::ranges::find(origins_, Lower(*origin)) == origins_.end() &&
      Listed(headers) == nullptr) {
    return Fail(Errc::origin_refused, "requests of this web origin are not accepted");
  }
  return {};
}

}  // namespace sallyport::net
