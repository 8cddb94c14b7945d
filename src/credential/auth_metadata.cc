#include "credential/auth_metadata.h"

#include <algorithm>

#include "credential/auth_challenge.h"
#include "identity/url.h"
#include "json/document.h"

namespace sallyport::credential {
namespace {

constexpr size_t kMostBytes = 64 << 10, kMostItems = 64, kLongestItem = 512;

std::unexpected<Error> Wrong(std::string detail) {
  return Fail(Errc::upstream_protocol, std::move(detail));
}

/// Without query and fragment.
std::string_view Bare(std::string_view url) { return url.substr(0, url.find_first_of("?#")); }

/// Behind the origin; empty or from the slash on.
std::string_view PathOf(std::string_view url) {
  url = Bare(url);
  const size_t host = url.find("://");
  if (host == url.npos) return {};
  const size_t slash = url.find('/', host + 3);
  return slash == url.npos ? std::string_view() : url.substr(slash);
}

std::string_view Trimmed(std::string_view path) {
  while (path.ends_with('/')) path.remove_suffix(1);
  return path;
}

std::vector<std::string> Texts(json::Value list) {
  std::vector<std::string> out;
  for (json::Value v = list.at(0); v && out.size() < kMostItems; v = v.next()) {
    const auto text = v.string();
    if (text && !text->empty() && text->size() <= kLongestItem) out.emplace_back(*text);
  }
  return out;
}

/// Whether `upstream` is `resource`, or lies below it: MCP servers publish either.
bool Covers(std::string_view resource, std::string_view upstream) {
  if (resource.contains('#') || resource.contains('?')) return resource == upstream;
  const std::string origin = OriginOfUrl(resource);
  if (origin.empty() || origin != OriginOfUrl(upstream)) return false;
  const std::string_view above = Trimmed(PathOf(resource)), path = PathOf(upstream);
  return path.starts_with(above) && (path.size() == above.size() || path[above.size()] == '/');
}

}  // namespace

std::string OriginOfUrl(std::string_view url) {
  const auto read = identity::ParseIssuerUrl(Bare(url));
  return read ? read->origin : std::string();
}

bool IsSafeUrl(std::string_view url, bool loopback_http) {
  const auto read = identity::ParseIssuerUrl(Bare(url));
  const bool plain =
      url.size() <= 2048 && !url.contains('#') && std::ranges::all_of(url, [](char c) {
        return c > ' ' && c < 0x7f && c != '"' && c != '<' && c != '>' && c != '\\';
      });
  return plain && read && (read->https || (read->loopback && loopback_http));
}

Result<ResourceMetadata> ReadResourceMetadata(std::string_view text, std::string_view upstream) {
  const auto doc = json::Document::Parse(text, {.max_bytes = kMostBytes});
  if (!doc) return Wrong("the resource metadata is no JSON");
  const json::Value root = doc->root();
  ResourceMetadata out;
  out.resource = root["resource"].string().value_or("");
  if (!IsSafeUrl(out.resource, true) || !Covers(out.resource, upstream))
    return Wrong("the resource metadata is of another resource than the upstream");
  out.authorization_servers = Texts(root["authorization_servers"]);
  if (out.authorization_servers.empty())
    return Wrong("the resource metadata names no authorization server");
  for (std::string& scope : Texts(root["scopes_supported"])) {
    if (IsScope(scope) && !scope.contains(' ')) out.scopes.push_back(std::move(scope));
  }
  return out;
}

Result<AuthServer> ReadAuthServer(std::string_view text, std::string_view issuer) {
  const auto doc = json::Document::Parse(text, {.max_bytes = kMostBytes});
  if (!doc) return Wrong("the metadata of the authorization server is no JSON");
  const json::Value root = doc->root();
  if (root["issuer"].string() != issuer)
    return Wrong("the metadata is of another issuer than the one that was asked");
  AuthServer out;
  out.issuer = issuer;
  const auto url = [&](const char* name) { return std::string(root[name].string().value_or("")); };
  out.authorize_url = url("authorization_endpoint");
  out.token_url = url("token_endpoint");
  out.registration_url = url("registration_endpoint");
  out.revocation_url = url("revocation_endpoint");
  if (!IsSafeUrl(out.authorize_url, true) || !IsSafeUrl(out.token_url, true))
    return Wrong("the authorization server names no usable endpoints");
  if (!IsSafeUrl(out.registration_url, true)) out.registration_url.clear();
  if (!IsSafeUrl(out.revocation_url, true)) out.revocation_url.clear();
  out.answers_iss =
      root["authorization_response_iss_parameter_supported"].boolean().value_or(false);
  out.takes_documents = root["client_id_metadata_document_supported"].boolean().value_or(false);
  out.pkce = Texts(root["code_challenge_methods_supported"]);
  out.auth_methods = Texts(root["token_endpoint_auth_methods_supported"]);
  out.scopes = Texts(root["scopes_supported"]);
  return out;
}

std::vector<std::string> ResourceMetadataUrls(std::string_view upstream) {
  const std::string origin = OriginOfUrl(upstream);
  if (origin.empty()) return {};
  const std::string root = origin + "/.well-known/oauth-protected-resource";
  const std::string_view path = Trimmed(PathOf(upstream));
  if (path.empty()) return {root};
  return {root + std::string(path), root};
}

std::vector<std::string> AuthServerUrls(std::string_view issuer) {
  const std::string origin = OriginOfUrl(issuer);
  if (origin.empty()) return {};
  const std::string path(Trimmed(PathOf(issuer)));
  const std::string oauth = origin + "/.well-known/oauth-authorization-server";
  const std::string openid = "/.well-known/openid-configuration";
  if (path.empty()) return {oauth, origin + openid};
  return {oauth + path, origin + openid + path, origin + path + openid};
}

}  // namespace sallyport::credential
