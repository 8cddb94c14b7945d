#include "approval/passkeys.h"

#include <nlohmann/json.hpp>

#include "api/approval_text.h"
#include "api/body.h"
#include "api/endpoints.h"
#include "api/passkey_text.h"
#include "base/bytes.h"

namespace sallyport::api {
namespace {

using nlohmann::ordered_json;

constexpr size_t kLongestPart = 8192;  // base64url of what a browser sends
constexpr size_t kLongestName = 240;

Reply Answer(const ordered_json& value, int status = 200) {
  return Json(value.dump(-1, ' ', false, ordered_json::error_handler_t::replace), status);
}

/// Passkeys are of people who have logged in here: a token that some script carries cannot add one.
Result<> IsPerson(const Visit& visit) {
  if (visit.parts.passkeys == nullptr) return Fail(Errc::state_unavailable, "no passkeys here");
  if (!visit.caller->by_cookie || !visit.who().agent.empty())
    return Fail(Errc::token_type_wrong, "passkeys are for people in a browser");
  return {};
}

boost::asio::awaitable<Reply> List(Visit& visit) {
  if (const auto person = IsPerson(visit); !person) co_return Problem(person.error());
  ordered_json list = ordered_json::array();
  for (const approval::Passkey& key : visit.parts.passkeys->Of(visit.who())) {
    list.push_back({{"id", key.id},
                    {"name", key.name},
                    {"created_at", FormatUtc(key.created)},
                    {"algorithm", static_cast<int32_t>(key.algorithm)},
                    {"entry", key.entry}});
  }
  co_return Answer({{"passkeys", std::move(list)}});
}

boost::asio::awaitable<Reply> Options(Visit& visit) {
  if (const auto person = IsPerson(visit); !person) co_return Problem(person.error());
  const auto party = visit.parts.passkeys->party();
  if (!party) co_return Problem(party.error());
  const op::Principal& who = visit.who();
  ordered_json exclude = ordered_json::array();
  for (const approval::Passkey& key : visit.parts.passkeys->Of(who)) exclude.push_back(key.id);
  co_return Answer({{"challenge", visit.parts.passkeys->Challenge(who)},
                    {"rp", {{"id", party->id}, {"name", "sallyport"}}},
                    {"user",
                     {{"id", approval::UserHandle(who)},
                      {"name", who.name.empty() ? who.subject : who.name},
                      {"displayName", who.name.empty() ? who.subject : who.name}}},
                    {"algorithms", {-7, -8, -257}},
                    {"exclude", std::move(exclude)}});
}

boost::asio::awaitable<Reply> Register(Visit& visit) {
  if (const auto person = IsPerson(visit); !person) co_return Problem(person.error());
  const auto body = ReadJson(visit);
  if (!body) co_return Problem(body.error());
  const auto name = TextOf(body->root(), "name", kLongestName, true);
  const auto client = TextOf(body->root(), "client_data", kLongestPart);
  const auto data = TextOf(body->root(), "authenticator_data", kLongestPart);
  if (!name) co_return Problem(name.error());
  if (!client) co_return Problem(client.error());
  if (!data) co_return Problem(data.error());
  const auto key = co_await visit.parts.passkeys->Register(visit.who(), *name, {*client, *data});
  if (!key) co_return Problem(key.error());
  co_return Answer({{"id", key->id}, {"name", key->name}, {"entry", key->entry}}, 201);
}

boost::asio::awaitable<Reply> AssertionOptions(Visit& visit) {
  if (const auto person = IsPerson(visit); !person) co_return Problem(person.error());
  const auto body = ReadJson(visit);
  if (!body) co_return Problem(body.error());
  const auto id = TextOf(body->root(), "approval", 64);
  const auto decision = TextOf(body->root(), "decision", 16);
  if (!id) co_return Problem(id.error());
  if (!decision) co_return Problem(decision.error());
  const auto request = visit.parts.desk->Find(*id);
  if (!request || !MaySee(*request, visit.who(), false))
    co_return Problem(Error(Errc::not_found, "no such request for approval"));
  ordered_json credentials = ordered_json::array();
  for (const approval::Passkey& key : visit.parts.passkeys->Of(visit.who()))
    credentials.push_back(key.id);
  const auto party = visit.parts.passkeys->party();
  co_return Answer({{"challenge", approval::VoteChallenge(request->digest, *decision == "approve")},
                    {"rp_id", party ? party->id : ""},
                    {"credentials", std::move(credentials)}});
}

}  // namespace

Result<approval::Assertion> ReadAssertion(json::Value value) {
  approval::Assertion out;
  SALLYPORT_TRY(out.credential, TextOf(value, "credential", kLongestPart));
  SALLYPORT_TRY(out.client_data, TextOf(value, "client_data", kLongestPart));
  SALLYPORT_TRY(out.authenticator_data, TextOf(value, "authenticator_data", kLongestPart));
  SALLYPORT_TRY(out.signature, TextOf(value, "signature", kLongestPart));
  return out;
}

void AddPasskeys(Router& router) {
  router.Add({.method = "GET", .path = "/api/v1/passkeys", .handler = List});
  router.Add({.method = "POST", .path = "/api/v1/passkeys/options", .handler = Options});
  router.Add(
      {.method = "POST", .path = "/api/v1/passkeys/register", .handler = Register, .works = true});
  router.Add({.method = "POST",
              .path = "/api/v1/passkeys/assertion-options",
              .handler = AssertionOptions});
}

}  // namespace sallyport::api
