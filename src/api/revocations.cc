// The kill switch of administrators: POST /api/v1/revocations {issuer, subject, reason}.
#include <nlohmann/json.hpp>

#include "api/body.h"
#include "api/endpoints.h"

namespace sallyport::api {
namespace {

boost::asio::awaitable<Reply> Revoke(Visit& visit) {
  if (const auto may = visit.HasRole({"admin"}, "only administrators revoke"); !may)
    co_return Problem(may.error());
  const auto body = ReadJson(visit);
  if (!body) co_return Problem(body.error());
  const auto issuer = TextOf(body->root(), "issuer", 512);
  const auto subject = TextOf(body->root(), "subject", 255);
  const auto reason = TextOf(body->root(), "reason", 500);
  for (const auto* field : {&issuer, &subject, &reason}) {
    if (!*field) co_return Problem(field->error());
  }
  const auto ended = co_await visit.parts.sessions.Revoke({.issuer = *issuer, .subject = *subject},
                                                          visit.who().name, *reason);
  if (!ended) co_return Problem(ended.error());
  co_return Json(nlohmann::ordered_json{{"v", 1}, {"sessions_ended", *ended}}.dump());
}

}  // namespace

void AddRevocations(Router& router) {
  router.Add({.method = "POST", .path = "/api/v1/revocations", .handler = Revoke, .works = true});
}

}  // namespace sallyport::api
