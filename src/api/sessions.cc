// Who one is, and one's sessions: /api/v1/me, /api/v1/sessions, and the page /sessions.
#include <nlohmann/json.hpp>

#include "access/uses.h"
#include "api/body.h"
#include "api/endpoints.h"
#include "policy/grant.h"
#include "policy/reach.h"

namespace sallyport::api {
namespace {

using nlohmann::ordered_json;

std::string Dump(const ordered_json& value) {
  return value.dump(-1, ' ', false, ordered_json::error_handler_t::replace);
}

ordered_json Who(const op::Principal& who) {
  ordered_json out{{"name", who.name}, {"issuer", who.issuer}, {"subject", who.subject}};
  if (!who.agent.empty()) out["agent"] = who.agent, out["owner"] = who.owner;
  out["groups"] = who.groups;
  out["groups_complete"] = who.groups_complete;
  return out;
}

/// What a session is limited to, null where it is not.
ordered_json Limits(const op::Principal& who, const Parts& parts) {
  if (!who.grant) return nullptr;
  ordered_json limits = ordered_json::array();
  for (size_t i = 0; i < who.grant->size(); ++i) {
    ordered_json limit{{"only", who.grant->text(i)}, {"words", who.grant->Words(i)}};
    if (const uint32_t uses = who.grant->uses(i); uses != 0) {
      limit["uses"] = uses;
      if (const access::Uses* counted = parts.gate.uses())
        limit["used"] = counted->Used(who.session, static_cast<uint32_t>(i));
    }
    limits.push_back(std::move(limit));
  }
  return limits;
}

ordered_json Describe(const access::SessionInfo& info, const Caller& caller, const Parts& parts) {
  const access::Live& live = *info.session;
  return {{"id", live.id},
          {"state", access::StateName(info.state)},
          {"kind", live.kind},
          {"person", Who(live.who)},
          {"reason", live.reason},
          {"limits", Limits(live.who, parts)},
          {"client", live.client},
          {"resource", live.resource},
          {"opened_at", FormatUtc(live.opened_at)},
          {"worked_at", FormatUtc(info.worked_at)},
          {"working", info.working},
          {"expires_at", FormatUtc(live.expires_at)},
          {"this_one", caller.live && caller.live->id == live.id}};
}

std::string_view EffectName(op::Verdict effect) {
  switch (effect) {
    case op::Verdict::allow:
      return "allow";
    case op::Verdict::approve:
      return "approve";
    case op::Verdict::deny:
      break;
  }
  return "deny";
}

/// How long this person's access may go on after they have left their provider.
ordered_json OffboardingOf(const Parts& parts, const op::Principal& who) {
  for (const identity::Offboarding& worst : parts.offboarding) {
    if (worst.provider != who.provider) continue;
    const bool session = !who.session.empty();
    const identity::Offboarding::Bound& bound = session ? worst.sessions : worst.tokens;
    ordered_json out{{"within_seconds", bound.within.count()},
                     {"by", bound.by},
                     {"words", identity::Describe(worst)}};
    if (!worst.told_by.empty()) {
      out["after_message_seconds"] = identity::kCutWithin.count();
      out["messages"] = worst.told_by;
    }
    if (session) out["unreachable_seconds"] = worst.sessions_unreachable.within.count();
    return out;
  }
  return nullptr;
}

bool IsOwn(const op::Principal& a, const op::Principal& b) {
  return a.issuer == b.issuer && a.subject == b.subject;
}

/// Where the caller's groups come from; empty where the provider is not known any more.
std::string GroupsFrom(const Visit& visit) {
  const Caller& caller = *visit.caller;
  const auto place = visit.parts.groups_from.find(caller.who.provider);
  if (place == visit.parts.groups_from.end()) return {};
  if (!caller.live) return place->second + " of this token";
  return place->second + " at the login of " + FormatUtc(caller.live->authenticated_at);
}

boost::asio::awaitable<Reply> Me(Visit& visit) {
  const Caller& caller = *visit.caller;
  ordered_json out{{"v", 1}};
  out.update(Who(caller.who));
  out["session"] = caller.live ? ordered_json(caller.live->id) : ordered_json(nullptr);
  out["limits"] = Limits(caller.who, visit.parts);
  if (caller.live && !caller.live->reason.empty()) out["reason"] = caller.live->reason;
  if (caller.who.expires_at > 0) out["expires_at"] = FormatUtc(caller.who.expires_at);
  if (visit.query.Has("why")) {
    out["provider"] = caller.who.provider;
    out["client_id"] = caller.who.client_id;
    out["token_class"] = caller.who.token_class;
    out["acr"] = caller.who.acr;
    out["amr"] = caller.who.amr;
    if (caller.who.auth_time > 0) out["auth_time"] = FormatUtc(caller.who.auth_time);
    out["policy_version"] = visit.parts.gate.rules()->version();
    if (caller.live) {
      out["kind"] = caller.live->kind;
      out["authenticated_at"] = FormatUtc(caller.live->authenticated_at);
    }
    if (auto worst = OffboardingOf(visit.parts, caller.who); !worst.is_null())
      out["offboarding"] = std::move(worst);
    ordered_json roles = ordered_json::array();
    for (const char* role : {"admin", "approver", "auditor"}) {
      if (visit.parts.has_role(caller.who, role)) roles.push_back(role);
    }
    out["roles"] = std::move(roles);
    if (std::string from = GroupsFrom(visit); !from.empty()) out["groups_from"] = std::move(from);
    if (!caller.groups_note.empty()) out["groups_note"] = caller.groups_note;
    ordered_json rules = ordered_json::array();
    for (const policy::RuleForPerson& rule :
         policy::RulesFor(*visit.parts.gate.rules(), caller.who)) {
      rules.push_back({{"id", rule.id},
                       {"effect", EffectName(rule.effect)},
                       {"connection", rule.connection},
                       {"because", rule.because}});
    }
    out["rules"] = std::move(rules);
  }
  co_return Json(Dump(out));
}

/// One's own, or with ?all those of everybody, for administrators and auditors.
boost::asio::awaitable<Reply> List(Visit& visit) {
  const op::Principal& who = visit.who();
  const bool all = visit.query.Has("all");
  const auto may = visit.HasRole({"admin", "auditor"}, "only administrators and auditors see all");
  if (all && !may) co_return Problem(may.error());
  ordered_json sessions = ordered_json::array();
  for (const access::SessionInfo& info : visit.parts.sessions.List(
           [&](const access::Live& live) { return all || IsOwn(live.who, who); })) {
    const bool over = info.state == access::State::revoked || info.state == access::State::expired;
    if (!over || visit.query.Has("ended"))
      sessions.push_back(Describe(info, *visit.caller, visit.parts));
  }
  co_return Json(Dump({{"v", 1}, {"sessions", std::move(sessions)}}));
}

boost::asio::awaitable<Reply> End(Visit& visit) {
  const std::string id = visit.Param("id");
  const op::Principal& who = visit.who();
  const auto info = visit.parts.sessions.Find(id);
  const bool own = info && IsOwn(info->session->who, who);
  // Whether it exists is nobody else's business.
  if (!info || (!own && !visit.parts.has_role(who, "admin")))
    co_return Problem(Error(Errc::session_unknown, "there is no such session"));
  if (const auto may = visit.HasRole({"admin"}, "not yours"); !own && !may)
    co_return Problem(may.error());
  if (who.grant && who.session != id)
    co_return Problem(Error(Errc::grant_exceeded, "a session with limits ends itself only"));
  std::string why = "signed out";
  if (!visit.request().body.empty()) {
    const auto body = ReadJson(visit);
    if (!body) co_return Problem(body.error());
    const auto reason = TextOf(body->root(), "reason", 500, true);
    if (!reason) co_return Problem(reason.error());
    if (!reason->empty()) why = *reason;
  }
  const auto ended = co_await visit.parts.sessions.Revoke({.session = id}, who.name, why);
  if (!ended) co_return Problem(ended.error());
  co_return Json(Dump({{"v", 1}, {"ended", *ended}}));
}

}  // namespace

void AddSessions(Router& router) {
  router.Add({.method = "GET", .path = "/api/v1/me", .handler = Me});
  router.Add({.method = "GET", .path = "/api/v1/sessions", .handler = List});
  // The same for clients that know GET and POST only.
  router.Add({.method = "POST",
              .path = "/api/v1/sessions/:id/end",
              .handler = End,
              .works = true,
              .limited = true});
  router.Add({.method = "DELETE",
              .path = "/api/v1/sessions/:id",
              .handler = End,
              .works = true,
              .limited = true});
}

}  // namespace sallyport::api
