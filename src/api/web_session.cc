#include "api/web_session.h"

#include "access/digest.h"
#include "api/cookies.h"
#include "api/logins.h"
#include "base/bytes.h"

namespace sallyport::api {
namespace {

constexpr long kCookieSeconds = 24 * 3600;  // the session's own end comes earlier
constexpr Nanos kFresh = Nanos(120) * 1'000'000'000;

}  // namespace

boost::asio::awaitable<Reply> OpenWebSession(Visit& visit, op::Principal who, std::string next,
                                             Nanos proved_at) {
  const Parts& parts = visit.parts;
  const auto before = FindCookie(visit.request().headers, kSessionCookie, parts.secure);
  const std::string name = who.name;
  const auto opened =
      co_await parts.sessions.Open({.who = std::move(who),
                                    .kind = "web",
                                    .reason = {},
                                    .scope = {},
                                    .client = "browser at " + visit.request().address,
                                    .authenticated_at = parts.clock.WallNow()});
  if (!opened) co_return Problem(opened.error());
  parts.logins->Proved(opened->id, proved_at);
  if (before) {
    if (const std::string old = parts.sessions.IdOf(*before); !old.empty())
      (void)co_await parts.sessions.Revoke({.session = old}, name, "signed in anew");
  }
  Reply reply = Redirect(next);
  SetCookie(reply.headers, kSessionCookie, opened->token, parts.secure, kCookieSeconds);
  SetCookie(reply.headers, kLoginCookie, "", parts.secure, 0);
  co_return reply;
}

Result<Caller> BrowserOf(const Parts& parts, const net::HttpRequest& request) {
  auto token = FindCookie(request.headers, kSessionCookie, parts.secure);
  if (!token) return Fail(Errc::token_missing, "you are not signed in");
  SALLYPORT_TRY(access::LivePtr live, parts.sessions.Check(*token));
  if (live->kind != "web") return Fail(Errc::token_type_wrong, "not a session of a browser");
  return Caller{
      .who = live->who, .live = std::move(live), .by_cookie = true, .token = std::move(*token)};
}

std::optional<Errc> CookieState(const Visit& visit) {
  const auto caller = BrowserOf(visit.parts, visit.request());
  if (caller) return std::nullopt;
  return caller.error().code;
}

std::string FormToken(const Caller& caller) {
  return Base64UrlEncode(access::DigestToken("form\n" + caller.token));
}

Result<> CheckFormToken(const Caller& caller, const Form& form) {
  if (caller.by_cookie && form.Find("form") == FormToken(caller)) return {};
  return Fail(Errc::origin_refused, "the form was not shown in this session");
}

bool IsFresh(const Visit& visit) {
  const access::LivePtr& live = visit.caller->live;
  if (!live) return false;
  const Nanos now = visit.parts.clock.WallNow(), at = visit.parts.logins->ProvedAt(live->id);
  return at <= now && now - at < kFresh;
}

}  // namespace sallyport::api
