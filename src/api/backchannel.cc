// OpenID Connect Back-Channel Logout 1.0: the provider says that somebody has been signed out.
#include "api/body.h"
#include "api/endpoints.h"

namespace sallyport::api {
namespace {

constexpr std::chrono::seconds kVerifyWithin{5};

boost::asio::awaitable<Reply> SignedOut(Visit& visit) {
  const auto form = ReadForm(visit);
  if (!form) co_return Problem(form.error());
  const auto token = co_await visit.parts.verifier.AuthenticateLogout(
      form->Get("logout_token"), std::chrono::steady_clock::now() + kVerifyWithin);
  if (!token) {
    op::Evidence evidence;
    evidence.type = op::EventType::auth_failure;
    evidence.address = visit.request().address;
    evidence.method = "backchannel-logout";
    evidence.reason = token.error().code;
    evidence.ok = false;
    (void)visit.parts.gate.Record(std::move(evidence));
    Reply reply = Problem(token.error());
    reply.status = reply.status >= 500 ? reply.status : 400;  // section 2.8
    co_return reply;
  }
  const auto ended = co_await visit.parts.sessions.Revoke(
      {.issuer = token->issuer, .subject = token->subject, .sid = token->sid}, "backchannel-logout",
      "signed out at the identity provider", "backchannel-logout");
  if (!ended) co_return Problem(ended.error());
  co_return Reply{.status = 200, .headers = {}, .body = {}};
}

}  // namespace

void AddBackchannel(Router& router) {
  router.Add({.method = "POST",
              .path = "/backchannel-logout",
              .needs = Needs::nobody,
              .handler = SignedOut});
}

}  // namespace sallyport::api
