// OpenID Connect Discovery 1.0 for those who verify the tokens that this gateway gives upstreams.
#include "api/endpoints.h"
#include "credential/issuer_keys.h"
#include "json/document.h"

namespace sallyport::api {
namespace {

constexpr std::string_view kJwks = "/.well-known/jwks.json";

Reply Public(std::string text) {
  Reply reply = Json(std::move(text));
  reply.headers.Add("Cache-Control", "public, max-age=900");
  return reply;
}

/// What relying parties need; nobody signs in here, so there is no authorization endpoint.
boost::asio::awaitable<Reply> Metadata(Visit& visit) {
  if (visit.parts.issuer_keys == nullptr) co_return Problem(Error(Errc::not_found));
  const std::string& issuer = visit.parts.public_url;
  co_return Public(
      "{\"issuer\":" + json::Quote(issuer) +
      ",\"jwks_uri\":" + json::Quote(issuer + std::string(kJwks)) +
      R"(,"response_types_supported":["none"],"subject_types_supported":["public"])"
      R"(,"id_token_signing_alg_values_supported":["RS256"])"
      ",\"global_token_revocation_endpoint\":" +
      json::Quote(issuer + "/global-token-revocation") +
      R"(,"global_token_revocation_endpoint_auth_methods_supported":["global-token-revocation+jwt"])"
      R"(,"claims_supported":["iss","aud","sub","iat","exp","jti","name","idp","act"]})");
}

boost::asio::awaitable<Reply> Keys(Visit& visit) {
  if (visit.parts.issuer_keys == nullptr) co_return Problem(Error(Errc::not_found));
  co_return Public(visit.parts.issuer_keys->Jwks());
}

}  // namespace

void AddUpstreamIssuer(Router& router) {
  router.Add({.method = "GET",
              .path = "/.well-known/openid-configuration",
              .needs = Needs::nobody,
              .handler = Metadata});
  router.Add({.method = "GET", .path = kJwks, .needs = Needs::nobody, .handler = Keys});
}

}  // namespace sallyport::api
