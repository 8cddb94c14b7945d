// POST /token: what runs without a stored secret (a CI job, a pod, a cloud role, a SPIFFE workload)
// exchanges the token that its platform gives it for a session of ours (RFC 8693).
#include "api/exchange.h"

#include <nlohmann/json.hpp>

#include "access/digest.h"
#include "api/body.h"
#include "api/endpoints.h"
#include "api/oauth_server.h"
#include "identity/workload.h"

namespace sallyport::api {
namespace {

using nlohmann::ordered_json;

constexpr std::string_view kExchange = "urn:ietf:params:oauth:grant-type:token-exchange";
constexpr std::string_view kJwt = "urn:ietf:params:oauth:token-type:jwt";
constexpr std::string_view kIdToken = "urn:ietf:params:oauth:token-type:id_token";
constexpr std::string_view kAccessToken = "urn:ietf:params:oauth:token-type:access_token";
constexpr std::chrono::seconds kVerifyWithin{5};
constexpr std::chrono::hours kLasts{1};
constexpr size_t kLongestToken = 16 << 10;

/// RFC 6749 section 5.2: `error` beside our own `code`, and always 400, also for a token that is
/// not accepted (RFC 8693 section 2.2.2). Our own faults keep their status.
Reply Refuse(const Error& error, std::string_view oauth = "invalid_request") {
  Reply reply = Problem(error);
  ordered_json body = ordered_json::parse(reply.body);
  body["error"] = oauth;
  reply.body = body.dump(-1, ' ', false, ordered_json::error_handler_t::replace);
  if (reply.status >= 500 || reply.status == 429) return reply;
  reply.status = 400;
  reply.headers.Remove("WWW-Authenticate");
  return reply;
}

/// A refusal that somebody may have to look into; recorded before it is told.
Reply RefuseToken(const Visit& visit, const Error& error, const op::Principal* who = nullptr) {
  op::AccessEvidence access;
  access.whom = who;
  op::Evidence e;
  e.type = op::EventType::auth_failure;
  e.address = visit.request().address;
  e.method = "token-exchange";
  e.reason = error.code;
  e.ok = false;
  if (who != nullptr) e.access = &access;
  const auto recorded = visit.parts.gate.Record(std::move(e));
  return Refuse(recorded ? error : recorded.error());
}

Error Malformed(const char* what) { return Error(Errc::request_malformed, what); }

/// What a request has to say beside the token; empty if it is fine.
std::optional<Reply> Unfit(const Form& form, const std::string& public_url) {
  if (form.Get("grant_type") != kExchange)
    return Refuse(Malformed("grant_type has to be urn:ietf:params:oauth:grant-type:token-exchange"),
                  form.Has("grant_type") ? "unsupported_grant_type" : "invalid_request");
  const std::string type = form.Get("subject_token_type");
  if (type != kJwt && type != kIdToken)
    return Refuse(Malformed(
        "subject_token_type has to be urn:ietf:params:oauth:token-type:jwt or …:id_token"));
  if (form.Has("requested_token_type") && form.Get("requested_token_type") != kAccessToken)
    return Refuse(Malformed(
        "requested_token_type can only be urn:ietf:params:oauth:token-type:access_token"));
  if (form.Has("actor_token"))
    return Refuse(Malformed("actor_token is not taken: the agent is who runs"));
  for (const char* target : {"audience", "resource"}) {
    if (form.Has(target) && form.Get(target) != public_url)
      return Refuse(Malformed("audience and resource can only be this gateway"), "invalid_target");
  }
  if (form.Has("scope"))
    return Refuse(Malformed("scope is not taken: the rules say what the agent may do"),
                  "invalid_scope");
  return std::nullopt;
}

boost::asio::awaitable<Reply> Exchange(Visit& visit) {
  const auto form = ReadForm(visit);
  if (!form) co_return Refuse(form.error());
  // Grants of MCP clients, where this gateway is their authorization server.
  if (visit.parts.oauth != nullptr && form->Get("grant_type") != kExchange)
    co_return co_await GrantToken(visit, *form);
  if (auto unfit = Unfit(*form, visit.parts.public_url)) co_return *std::move(unfit);
  const std::string token = form->Get("subject_token");
  if (token.empty() || token.size() > kLongestToken)
    co_return Refuse(Malformed("subject_token is missing, or too long"));
  const auto verified = co_await visit.parts.verifier.Authenticate(
      token, std::chrono::steady_clock::now() + kVerifyWithin, visit.parts.public_url);
  if (!verified) co_return RefuseToken(visit, verified.error());
  const op::Principal& who = (*verified)->principal;
  const auto token_class = identity::ParseTokenClass(who.token_class);
  if (!token_class || !identity::IsWorkload(*token_class))
    co_return RefuseToken(
        visit,
        Error(Errc::token_type_wrong,
              "only a workload's token is exchanged; people sign in with `sallyport login`"),
        &who);
  if (const auto once = visit.parts.exchanged->Take(token, **verified); !once)
    co_return RefuseToken(visit, once.error(), &who);
  const auto opened = co_await visit.parts.sessions.Open(
      {.who = who,
       .kind = "workload",
       .reason = who.origin,
       .scope = {},
       .client = std::string(who.token_class) + " at " + visit.request().address,
       .lasts = kLasts,
       .authenticated_at = (*verified)->issued_at});
  if (!opened) co_return RefuseToken(visit, opened.error(), &who);
  co_return Json(ordered_json{
      {"access_token", opened->token},
      {"issued_token_type", kAccessToken},
      {"token_type", "Bearer"},
      {"expires_in", (opened->expires_at - visit.parts.clock.WallNow()) / 1'000'000'000},
      {"session",
       opened->id}}.dump());
}

}  // namespace

Result<> Exchanged::Take(std::string_view token, const identity::VerifiedToken& verified) {
  if (verified.issued_at < since_)
    return Fail(Errc::token_used,
                "it was issued before the gateway started, which does not know whether it was "
                "used: get another one");
  // Without an id it is known by what is signed: a signature can be written in more ways than one.
  const op::Principal& who = verified.principal;
  const std::string key =
      who.issuer + '\n' +
      (verified.token_id.empty() ? std::string(token.substr(0, token.rfind('.')))
                                 : "jti\n" + verified.token_id);
  const access::TokenDigest digest = access::DigestToken(key);
  const Nanos now = clock_.WallNow();
  const std::lock_guard lock(mutex_);
  for (auto end = ends_.begin(); end != ends_.end() && end->first < now; end = ends_.erase(end))
    used_.erase(end->second);
  if (used_.size() >= kMost)
    return Fail(Errc::limit_exceeded, "too many tokens were exchanged lately");
  const auto [at, fresh] = used_.emplace(digest.begin(), digest.end());
  if (!fresh)
    return Fail(Errc::token_used,
                "the token was exchanged already: get another one for each session");
  ends_.emplace(verified.expires_at + verified.skew, at);
  return {};
}

void AddExchange(Router& router) {
  router.Add({.method = "POST",
              .path = "/token",
              .needs = Needs::nobody,
              .handler = Exchange,
              .web = true});
}

}  // namespace sallyport::api
