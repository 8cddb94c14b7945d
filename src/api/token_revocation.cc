// POST /oauth/revoke: whoever holds a token of this gateway ends it (RFC 7009).
#include <algorithm>
#include <nlohmann/json.hpp>

#include "access/token.h"
#include "api/body.h"
#include "api/endpoints.h"
#include "api/oauth_server.h"

namespace sallyport::api {
namespace {

constexpr size_t kLongestToken = 16 << 10;

Reply Refuse(const Error& error, std::string_view oauth) {
  Reply reply = Problem(error);
  auto body = nlohmann::ordered_json::parse(reply.body);
  body["error"] = oauth;
  reply.body = body.dump();
  if (reply.status < 500) reply.status = 400;
  return reply;
}

boost::asio::awaitable<Reply> Revoke(Visit& visit) {
  const auto form = ReadForm(visit);
  if (!form) co_return Refuse(form.error(), "invalid_request");
  const std::string token = form->Get("token");
  if (token.empty() || token.size() > kLongestToken)
    co_return Refuse(Error(Errc::request_malformed, "token is missing, or too long"),
                     "invalid_request");
  // A provider's token is the provider's to end: to say "done" would not be true.
  if (!access::IsSessionToken(token) && std::ranges::count(token, '.') == 2)
    co_return Refuse(Error(Errc::token_type_wrong, "only tokens of this gateway end here"),
                     "unsupported_token_type");
  // Who asks shows nothing but the token, and learns nothing from the answer (section 2.2).
  std::string id = visit.parts.sessions.IdOf(token);
  if (OauthServer* server = visit.parts.oauth; id.empty() && server != nullptr)
    id = server->grants().SessionOf(token);  // a refresh token
  if (const auto info = id.empty() ? std::nullopt : visit.parts.sessions.Find(id)) {
    const auto ended =
        co_await visit.parts.sessions.Revoke({.session = id}, info->session->who.name,
                                             "revoked by who holds the token", "token-revocation");
    if (!ended && ended.error().code != Errc::session_unknown) co_return Problem(ended.error());
  }
  co_return Reply{.status = 200, .headers = {}, .body = {}};
}

}  // namespace

void AddTokenRevocation(Router& router) {
  router.Add({.method = "POST",
              .path = "/oauth/revoke",
              .needs = Needs::nobody,
              .handler = Revoke,
              .web = true});
}

}  // namespace sallyport::api
