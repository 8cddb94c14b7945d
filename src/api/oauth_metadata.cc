// What MCP clients read of this gateway as their authorization server: RFC 8414.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "api/endpoints.h"
#include "api/oauth_server.h"

namespace sallyport::api {
namespace {

using nlohmann::ordered_json;

boost::asio::awaitable<Reply> Metadata(Visit& visit) {
  const OauthServer& server = *visit.parts.oauth;
  const oauth::Config& config = server.config();
  const std::string& issuer = server.issuer();
  std::vector<std::string> grants{"authorization_code",
                                  "urn:ietf:params:oauth:grant-type:token-exchange"};
  if (config.refresh) grants.emplace_back("refresh_token");
  if (!config.id_jag.empty()) {
    grants.emplace_back("urn:ietf:params:oauth:grant-type:jwt-bearer");
  }
  const bool secrets = std::ranges::any_of(
      config.clients, [](const oauth::ClientConfig& c) { return c.secret.has_value(); });
  std::vector<std::string> methods{"none"};
  if (secrets) methods.insert(methods.end(), {"client_secret_basic", "client_secret_post"});
  ordered_json body{
      {"issuer", issuer},
      {"authorization_endpoint", issuer + "/oauth/authorize"},
      {"token_endpoint", issuer + "/token"},
      {"revocation_endpoint", issuer + "/oauth/revoke"},
      {"revocation_endpoint_auth_methods_supported", {"none"}},
      {"response_types_supported", {"code"}},
      {"response_modes_supported", {"query"}},
      {"grant_types_supported", grants},
      {"code_challenge_methods_supported", {"S256"}},
      {"token_endpoint_auth_methods_supported", methods},
      {"scopes_supported", {kScopeRead, kScopeWrite}},
      {"authorization_response_iss_parameter_supported", true},
      {"global_token_revocation_endpoint", issuer + "/global-token-revocation"},
      {"global_token_revocation_endpoint_auth_methods_supported", {"global-token-revocation+jwt"}}};
  body["client_id_metadata_document_supported"] =
      !config.client_id_hosts.empty() || config.allow_loopback_http;
  if (!config.id_jag.empty()) {
    body["authorization_grant_profiles_supported"] = {"urn:ietf:params:oauth:grant-profile:id-jag"};
  }
  if (config.registration) body["registration_endpoint"] = issuer + "/oauth/register";
  Reply reply = Json(body.dump());
  reply.headers.Add("Cache-Control", "public, max-age=300");
  co_return reply;
}

}  // namespace

void AddOauthMetadata(Router& router) {
  router.Add({.method = "GET",
              .path = "/.well-known/oauth-authorization-server",
              .needs = Needs::nobody,
              .handler = Metadata,
              .web = true});
}

}  // namespace sallyport::api
