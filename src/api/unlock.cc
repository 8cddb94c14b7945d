// /unlock?session=u_…: a person who has just proved who they are lets a session of theirs go on,
// and the client that holds its token notices nothing.
#include "api/body.h"
#include "api/endpoints.h"
#include "api/web_session.h"
#include "policy/step_up.h"

namespace sallyport::api {
namespace {

Reply Sorry(const Error& error) {
  return Page("Not unlocked",
              "<h1>The session is not unlocked</h1>\n<p>" + Escape(error.detail) +
                  "</p>\n<p><code>" + std::string(ReasonCode(error.code)) + "</code></p>",
              StatusOf(error.code));
}

/// Without a session: that of this browser, for which a fresh login does.
std::string Back(const Visit& visit) {
  const std::string next = visit.query.Get("next");
  return IsLocalPath(next) && !next.starts_with("/api/") && !next.starts_with("/login")
             ? next
             : "/approvals";
}

std::string Details(const access::SessionInfo& info) {
  const access::Live& live = *info.session;
  return "<dl><dt>Session</dt><dd>" + Escape(live.id) + "</dd><dt>Used by</dt><dd>" +
         Escape(live.client) + "</dd><dt>Opened</dt><dd>" + FormatUtc(live.opened_at) +
         "</dd><dt>Last work</dt><dd>" + FormatUtc(info.worked_at) + "</dd></dl>\n";
}

std::string Confirmation(const Caller& caller, const access::Live& live, const char* button) {
  return "<form method=\"post\" action=\"/unlock\"><input type=\"hidden\" name=\"form\" value=\"" +
         FormToken(caller) + "\"><input type=\"hidden\" name=\"session\" value=\"" +
         Escape(live.id) + "\"><button>" + button + "</button></form>";
}

boost::asio::awaitable<Reply> Ask(Visit& visit) {
  const std::string id = visit.query.Get("session");
  if (id.empty()) co_return co_await BeginFreshLogin(visit, Back(visit));
  if (!IsLocalPath("/" + id))
    co_return Sorry(Error(Errc::session_unknown, "There is no such session."));
  const auto caller = BrowserOf(visit.parts, visit.request());
  if (caller) visit.caller = *caller;
  const bool mfa = visit.query.Has("mfa"), asked = visit.query.Has("asked");
  const bool strong =
      !mfa ||
      (caller && policy::HasSecondFactor(visit.who(), visit.parts.gate.rules()->second_factors()));
  if (!caller || !IsFresh(visit) || (!strong && !asked))
    co_return co_await BeginFreshLogin(
        visit, "/unlock?" + std::string(mfa ? "mfa&asked&" : "") + "session=" + id);
  if (!strong)
    co_return Sorry(Error(Errc::mfa_required,
                          "Your identity provider does not say that you used a second factor."));
  const auto info = visit.parts.sessions.Find(id);
  const op::Principal& who = visit.who();
  if (!info || info->session->who.issuer != who.issuer || info->session->who.subject != who.subject)
    co_return Sorry(Error(Errc::session_unknown, "You have no such session."));
  const access::Live& live = *info->session;
  if (info->state == access::State::active && mfa)
    co_return Page(
        "Sign in for a session",
        "<h1>Let the session go on with this sign-in?</h1>\n<p>It asked for a sign-in with a "
        "second "
        "factor, or for a fresher one. Go on only if the program that uses it is in your "
        "hands.</p>\n" +
            Details(*info) + Confirmation(*visit.caller, live, "Go on"));
  if (info->state == access::State::active)
    co_return Page("Unlocked", "<h1>The session is not locked</h1>\n<p>You can go on working.</p>");
  if (info->state != access::State::locked)
    co_return Sorry(Error(Errc::session_ended, "The session has ended. Sign in again."));
  co_return Page("Unlock the session",
                 "<h1>Unlock the session?</h1>\n<p>It was idle for too long. Go on only if the "
                 "program that uses it is in your hands.</p>\n" +
                     Details(*info) + Confirmation(*visit.caller, live, "Unlock"));
}

boost::asio::awaitable<Reply> Unlock(Visit& visit) {
  const auto form = ReadForm(visit);
  if (!form) co_return Problem(form.error());
  if (const auto own = CheckFormToken(*visit.caller, *form); !own) co_return Problem(own.error());
  if (!IsFresh(visit))
    co_return Sorry(Error(Errc::token_expired, "You have to sign in anew to unlock a session."));
  op::Principal fresh = visit.who();
  const auto unlocked = co_await visit.parts.sessions.Unlock(form->Get("session"), std::move(fresh),
                                                             visit.caller->live->authenticated_at);
  if (!unlocked) co_return Sorry(unlocked.error());
  co_return Page("Unlocked", "<h1>The session is unlocked</h1>\n<p>You can go on working.</p>");
}

}  // namespace

void AddUnlock(Router& router) {
  router.Add({.method = "GET", .path = "/unlock", .needs = Needs::nobody, .handler = Ask});
  router.Add({.method = "POST",
              .path = "/unlock",
              .needs = Needs::person,
              .handler = Unlock,
              .works = true});
}

}  // namespace sallyport::api
