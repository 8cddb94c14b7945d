// POST /oauth/register: a client that nobody has entered makes itself known (RFC 7591). A shim for
// clients that can do nothing better; it gives no right, and people see that nobody knows the
// client.
#include <nlohmann/json.hpp>

#include "api/body.h"
#include "api/endpoints.h"
#include "api/oauth_server.h"
#include "oauth/registration.h"

namespace sallyport::api {
namespace {

using nlohmann::ordered_json;

boost::asio::awaitable<Reply> Register(Visit& visit) {
  OauthServer& server = *visit.parts.oauth;
  const auto refuse = [&](const Error& error, std::string_view oauth) {
    return OauthProblem(RecordRefusal(visit, "oauth-register", error, nullptr), oauth);
  };
  if (const auto room = server.TakeRegistration(visit.request().address); !room)
    co_return refuse(room.error(), "temporarily_unavailable");
  if (const auto body = ReadJson(visit); !body)
    co_return refuse(body.error(), "invalid_client_metadata");
  const auto metadata =
      oauth::ReadClientMetadata(visit.request().body, oauth::Client::Kind::registered);
  if (!metadata) {
    const bool redirect = metadata.error().detail.find("redirect") != std::string::npos;
    co_return refuse(metadata.error(),
                     redirect ? "invalid_redirect_uri" : "invalid_client_metadata");
  }
  const auto id = server.Register(*metadata);
  if (!id) co_return refuse(id.error(), "invalid_client_metadata");
  std::vector<std::string> redirects, grants{"authorization_code"};
  for (const oauth::RedirectUri& one : metadata->redirects) redirects.push_back(one.text);
  if (server.config().refresh) grants.emplace_back("refresh_token");
  co_return Json(ordered_json{{"client_id", *id},
                              {"client_id_issued_at", visit.parts.clock.WallNow() / 1'000'000'000},
                              {"client_name", metadata->name},
                              {"redirect_uris", redirects},
                              {"grant_types", grants},
                              {"response_types", {"code"}},
                              {"token_endpoint_auth_method", "none"}}
                     .dump(-1, ' ', false, ordered_json::error_handler_t::replace),
                 201);
}

}  // namespace

void AddOauthRegister(Router& router) {
  router.Add({.method = "POST",
              .path = "/oauth/register",
              .needs = Needs::nobody,
              .handler = Register,
              .web = true});
}

}  // namespace sallyport::api
