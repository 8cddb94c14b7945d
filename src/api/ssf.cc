// POST /ssf/events/<provider>: security events pushed by a transmitter of the Shared Signals
// Framework (RFC 8935).
#include "api/ssf.h"

#include <openssl/crypto.h>

#include "access/digest.h"
#include "api/body.h"
#include "api/endpoints.h"
#include "api/signals.h"
#include "gate/refusals.h"
#include "json/document.h"

namespace sallyport::api {

/// RFC 8935 section 2.4. Our own faults are none of the transmitter's: it tries again.
std::string_view EventErrorName(Errc code) {
  switch (code) {
    case Errc::token_missing:
      return "authentication_failed";
    case Errc::token_issuer_unknown:
      return "invalid_issuer";
    case Errc::token_audience_wrong:
      return "invalid_audience";
    case Errc::token_alg_refused:
    case Errc::token_key_unknown:
    case Errc::token_signature_invalid:
      return "invalid_key";
    case Errc::identity_mismatch:
      return "access_denied";
    default:
      return "invalid_request";
  }
}

namespace {

Reply Refuse(Visit& visit, const Error& error) {
  op::Evidence evidence;
  evidence.type = op::EventType::auth_failure;
  evidence.address = visit.request().address;
  evidence.method = "ssf";
  evidence.reason = error.code;
  evidence.ok = false;
  if (const auto recorded = visit.parts.gate.Record(std::move(evidence)); !recorded)
    return Problem(recorded.error());
  const Reply problem = Problem(error);
  if (problem.status >= 500 || problem.status == 429 || problem.status == 404) return problem;
  const std::string detail =
      error.detail.empty() ? std::string(ReasonCode(error.code)) : error.detail;
  Reply reply = Json("{\"err\":" + json::Quote(EventErrorName(error.code)) +
                         ",\"description\":" + json::Quote(detail) +
                         ",\"code\":" + json::Quote(ReasonCode(error.code)) + "}",
                     400);
  reply.headers.Add("Content-Language", "en");
  return reply;
}

bool MayPush(const SignalSource& source, const net::HttpRequest& request) {
  if (source.push_token.empty()) return true;
  if (request.headers.Count("Authorization") != 1) return false;
  const auto want = access::DigestToken(source.push_token.Reveal());
  const std::string_view said = *request.headers.Find("Authorization");
  const size_t space = said.find(' ');
  // What the transmitter was given to send (authorization_header), with a scheme or without.
  const auto whole = access::DigestToken(said);
  const bool bearer = space != said.npos && net::SameName(said.substr(0, space), "Bearer");
  const auto rest = access::DigestToken(bearer ? said.substr(space + 1) : said);
  const bool as_whole = CRYPTO_memcmp(whole.data(), want.data(), want.size()) == 0;
  const bool as_rest = CRYPTO_memcmp(rest.data(), want.data(), want.size()) == 0;
  return as_whole || as_rest;
}

boost::asio::awaitable<Reply> Take(Visit& visit) {
  const net::HttpRequest& request = visit.request();
  const std::string provider = visit.Param("provider");
  const SignalSource* source = visit.parts.signals->SourceOf(provider);
  if (source == nullptr || !source->push) co_return Problem(Error(Errc::not_found));
  const Nanos now = visit.parts.clock.SteadyNow().time_since_epoch() / std::chrono::nanoseconds(1);
  if (visit.parts.refusals->Ask(request.address, now).wait_seconds != 0)
    co_return Problem(
        Error(Errc::rate_limited, "too many credentials from this address were refused"));
  if (!MayPush(*source, request)) {
    visit.parts.refusals->Add(request.address, now);
    co_return Refuse(visit, Error(Errc::token_missing, "the transmitter is not authenticated"));
  }
  const auto type = request.headers.Find("Content-Type");
  if (!type || !net::SameName(type->substr(0, type->find(';')), "application/secevent+jwt"))
    co_return Refuse(visit,
                     Error(Errc::header_invalid, "Content-Type must be application/secevent+jwt"));
  const auto taken = co_await visit.parts.signals->Deliver(provider, request.body, "ssf");
  if (!taken) {
    if (taken.error().code != Errc::identity_provider_down)
      visit.parts.refusals->Add(request.address, now);
    co_return Refuse(visit, taken.error());
  }
  co_return Reply{.status = 202, .headers = {}, .body = {}};
}

}  // namespace

void AddSsf(Router& router) {
  router.Add(
      {.method = "POST", .path = "/ssf/events/:provider", .needs = Needs::nobody, .handler = Take});
}

}  // namespace sallyport::api
