// POST /global-token-revocation: a provider ends all access of one of its people (draft-parecki-
// oauth-global-token-revocation, Okta Universal Logout).
#include "access/sessions.h"
#include "api/body.h"
#include "api/endpoints.h"
#include "api/signals.h"
#include "gate/refusals.h"

namespace sallyport::api {
namespace {

constexpr std::string_view kPath = "/global-token-revocation";
constexpr std::chrono::seconds kVerifyWithin{5};

/// A refusal that somebody may have to look into; recorded before it is told.
Reply Refuse(Visit& visit, const Error& error) {
  op::Evidence evidence;
  evidence.type = op::EventType::auth_failure;
  evidence.address = visit.request().address;
  evidence.method = "global-token-revocation";
  evidence.reason = error.code;
  evidence.ok = false;
  const auto recorded = visit.parts.gate.Record(std::move(evidence));
  return Problem(recorded ? error : recorded.error());
}

Nanos SteadyNow(const Visit& visit) {
  return visit.parts.clock.SteadyNow().time_since_epoch() / std::chrono::nanoseconds(1);
}

Result<std::string> BearerOf(const net::HttpRequest& request) {
  if (request.headers.Count("Authorization") == 0)
    return Fail(Errc::token_missing, "the request is not authenticated");
  if (request.headers.Count("Authorization") > 1)
    return Fail(Errc::request_malformed, "the Authorization field occurs twice");
  std::string_view token = *request.headers.Find("Authorization");
  const size_t space = token.find(' ');
  if (space == token.npos || !net::SameName(token.substr(0, space), "Bearer"))
    return Fail(Errc::token_malformed, "the Authorization field is no bearer token");
  token.remove_prefix(space);
  while (token.starts_with(' ')) token.remove_prefix(1);
  return std::string(token);
}

boost::asio::awaitable<Reply> Revoke(Visit& visit) {
  const net::HttpRequest& request = visit.request();
  auto bearer = BearerOf(request);
  if (!bearer) co_return Refuse(visit, bearer.error());
  if (visit.parts.refusals->Ask(request.address, SteadyNow(visit)).wait_seconds != 0)
    co_return Problem(
        Error(Errc::rate_limited, "too many credentials from this address were refused"));
  const std::string& gate = visit.parts.public_url;
  const auto token = co_await visit.parts.verifier.AuthenticateRevocation(
      *std::move(bearer), {gate + std::string(kPath), gate},
      std::chrono::steady_clock::now() + kVerifyWithin);
  if (!token) {
    if (token.error().code != Errc::identity_provider_down)
      visit.parts.refusals->Add(request.address, SteadyNow(visit));
    co_return Refuse(visit, token.error());
  }
  // Who asks is known from here on; the body is read for nobody else.
  if (const auto type = request.headers.Find("Content-Type");
      !type || !net::SameName(type->substr(0, type->find(';')), "application/json"))
    co_return Refuse(visit, Error(Errc::header_invalid, "Content-Type must be application/json"));
  auto whom = identity::ReadRevocationBody(request.body, token->issuer);
  if (!whom) co_return Refuse(visit, whom.error());
  const bool by_address = !whom->email.empty();
  const auto ended = co_await visit.parts.signals->Revoke(*token, *std::move(whom));
  if (!ended) {
    Reply reply = Refuse(visit, ended.error());
    // "Unable to log out the user", who is not known well enough.
    if (by_address && ended.error().code == Errc::identity_mismatch) reply.status = 422;
    co_return reply;
  }
  co_return Reply{.status = 204, .headers = {}, .body = {}};
}

}  // namespace

void AddGlobalRevocation(Router& router) {
  router.Add({.method = "POST", .path = kPath, .needs = Needs::nobody, .handler = Revoke});
}

}  // namespace sallyport::api
