#include "approval/passkeys.h"

#include <nlohmann/json.hpp>

#include "api/approval_text.h"
#include "api/body.h"
#include "api/endpoints.h"
#include "api/passkey_text.h"
#include "api/web_session.h"
#include "base/bytes.h"

namespace sallyport::api {
namespace {

using nlohmann::ordered_json;

constexpr size_t kLongestPart = 8192;  // base64url of what a browser sends
constexpr size_t kLongestName = 240;
constexpr size_t kLongestWhy = 500;

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

/// What changes one's passkeys wants a login with fresh proof beside that: whoever has got hold of
/// a session could else put a key of theirs in the place of the owner's.
Result<> IsProvenPerson(const Visit& visit) {
  SALLYPORT_CHECK(IsPerson(visit));
  if (IsFresh(visit)) return {};
  return Fail(Errc::login_stale, "sign in again first: this wants fresh proof of who you are");
}

/// A refusal is as much a part of the story as what was done.
Reply Refused(const Visit& visit, op::EventType type, const Error& error,
              const op::Principal* whose = nullptr) {
  op::ApprovalEvidence about;
  about.by = &visit.who();
  op::AccessEvidence access;
  access.whom = whose;
  op::Evidence e;
  e.type = type;
  e.address = visit.request().address;
  e.approval = &about;
  if (whose != nullptr) e.access = &access;
  e.ok = false;
  e.reason = error.code;
  const auto recorded = visit.parts.gate.Record(std::move(e));
  return Problem(recorded ? error : recorded.error());
}

/// Whose passkeys are meant: one's own, or those of issuer and subject.
struct Meant {
  op::Principal owner;
  bool own = true;
};

Result<Meant> ReadMeant(const Visit& visit, std::string issuer, std::string subject) {
  if (issuer.empty() != subject.empty())
    return Fail(Errc::request_malformed, "a person is named by issuer and subject");
  Meant meant{.owner = visit.who()};
  if (issuer.empty()) return meant;
  meant.own = issuer == visit.who().issuer && subject == visit.who().subject;
  if (meant.own) return meant;
  meant.owner = {};
  meant.owner.issuer = std::move(issuer);
  meant.owner.subject = std::move(subject);
  return meant;
}

boost::asio::awaitable<Reply> List(Visit& visit) {
  if (visit.parts.passkeys == nullptr || !visit.who().agent.empty())
    co_return Problem(Error(Errc::token_type_wrong, "passkeys are people's"));
  if (const auto& usable = visit.parts.passkeys->usable(); !usable)
    co_return Problem(usable.error());
  const auto meant = ReadMeant(visit, visit.query.Get("issuer"), visit.query.Get("subject"));
  if (!meant) co_return Problem(meant.error());
  const auto may = visit.HasRole({"admin", "auditor"}, "only administrators and auditors see them");
  if (!meant->own && !may) co_return Problem(may.error());
  ordered_json list = ordered_json::array();
  for (const approval::Passkey& key : visit.parts.passkeys->Of(meant->owner)) {
    list.push_back(
        {{"id", key.id},
         {"name", key.name},
         {"created_at", FormatUtc(key.created)},
         {"used_at", key.used == 0 ? ordered_json(nullptr) : ordered_json(FormatUtc(key.used))},
         {"algorithm", static_cast<int32_t>(key.algorithm)},
         {"entry", key.entry}});
  }
  co_return Answer(
      {{"passkeys", std::move(list)}, {"needed", visit.parts.passkeys->Needs(meant->owner)}});
}

/// One's own in the browser with fresh proof; somebody else's as an administrator. Neither lets
/// anybody approve more than before: who has had a passkey approves with one only.
Result<> MayRemove(const Visit& visit, const Meant& meant) {
  if (meant.own) return IsProvenPerson(visit);
  if (visit.parts.passkeys == nullptr || !visit.who().agent.empty())
    return Fail(Errc::token_type_wrong, "passkeys are people's");
  SALLYPORT_CHECK(visit.HasRole({"admin"}, "only administrators remove those of others"));
  if (visit.parts.desk->OnePerson(visit.who(), meant.owner))
    return Fail(Errc::login_stale, "an account of your own: sign in with it, on /passkeys");
  return {};
}

boost::asio::awaitable<Reply> Remove(Visit& visit) {
  const auto body = ReadJson(visit);
  if (!body) co_return Problem(body.error());
  const auto id = TextOf(body->root(), "id", kLongestPart);
  const auto issuer = TextOf(body->root(), "issuer", 512, true);
  const auto subject = TextOf(body->root(), "subject", 255, true);
  const auto reason = TextOf(body->root(), "reason", kLongestWhy, true);
  for (const auto* field : {&id, &issuer, &subject, &reason}) {
    if (!*field) co_return Problem(field->error());
  }
  const auto meant = ReadMeant(visit, *issuer, *subject);
  if (!meant) co_return Problem(meant.error());
  if (const auto may = MayRemove(visit, *meant); !may)
    co_return Refused(visit, op::EventType::passkey_removed, may.error(), &meant->owner);
  if (!meant->own && reason->empty())
    co_return Problem(Error(Errc::request_malformed, "say why: a reason is required"));
  const auto done = co_await visit.parts.passkeys->Remove(visit.who(), meant->owner, *id, *reason);
  if (!done) co_return Problem(done.error());
  co_return Answer({{"v", 1}, {"removed", *id}});
}

boost::asio::awaitable<Reply> Options(Visit& visit) {
  if (const auto person = IsProvenPerson(visit); !person)
    co_return Refused(visit, op::EventType::passkey_registered, person.error());
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
  if (const auto person = IsProvenPerson(visit); !person)
    co_return Refused(visit, op::EventType::passkey_registered, person.error());
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
  router.Add(
      {.method = "POST", .path = "/api/v1/passkeys/remove", .handler = Remove, .works = true});
  router.Add({.method = "POST",
              .path = "/api/v1/passkeys/assertion-options",
              .handler = AssertionOptions});
}

}  // namespace sallyport::api
