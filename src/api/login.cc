// Signing in with a browser: OpenID Connect with the code flow, PKCE (S256), nonce, and a state
// that is bound to the browser (OpenID Connect Core 3.1; RFC 7636, 9207, 9700).
#include <algorithm>
#include <nlohmann/json.hpp>

#include "api/cookies.h"
#include "api/endpoints.h"
#include "api/logins.h"
#include "api/person_poll.h"
#include "api/saml.h"
#include "api/web_session.h"
#include "base/bytes.h"
#include "base/ids.h"
#include "json/document.h"

namespace sallyport::api {
namespace {

constexpr std::chrono::seconds kVerifyWithin{5};
constexpr size_t kLongestToken = 16 << 10;
constexpr std::string_view kHome = "/approvals";

std::string LocalPath(const Form& query) {
  const std::string next = query.Get("next");
  const bool page = IsLocalPath(next) && !next.starts_with("/api/") &&
                    (next.starts_with("/login/cli?") || !next.starts_with("/login"));
  return page && !next.starts_with("/logout") ? next : std::string(kHome);
}

/// Several providers: the person knows which one knows them.
Reply Choose(const Logins& logins, const std::string& next, bool fresh, bool mfa) {
  std::string list;
  for (const LoginProvider& provider : logins.providers()) {
    list += "<p><a class=\"button\" href=\"/login?provider=" + PercentEncode(provider.name) +
            (fresh ? "&amp;fresh" : "") + (mfa ? "&amp;mfa" : "") +
            "&amp;next=" + PercentEncode(next) + "\">Sign in with " + Escape(provider.name) +
            "</a></p>\n";
  }
  return Page("Sign in", "<h1>Sign in</h1>\n" + list);
}

/// To the provider, and back to `next`. With `fresh` the person has to prove anew who they are,
/// with ?mfa by a second factor too: the provider is asked for it, and what it then says is judged
/// where it is needed.
boost::asio::awaitable<Reply> Begin(Visit& visit, std::string next, bool fresh) {
  const bool mfa = visit.query.Has("mfa");
  fresh |= mfa;
  Logins& logins = *visit.parts.logins;
  if (logins.providers().size() > 1 && !visit.query.Has("provider"))
    co_return Choose(logins, next, fresh, mfa);
  const LoginProvider* provider = logins.Provider(visit.query.Get("provider"));
  if (provider == nullptr)
    co_return SorryPage(
        Error(Errc::not_found, "No identity provider is configured for signing in."));
  // One secret per browser: several tabs may sign in at once.
  const auto given = FindCookie(visit.request().headers, kLoginCookie, visit.parts.secure);
  const std::string cookie = given && given->size() >= 32 ? *given : NewHandle(32);
  if (provider->saml)
    co_return co_await BeginSaml(visit, *provider, cookie, std::move(next), fresh);
  const auto endpoints = co_await logins.Discover(*provider);
  if (!endpoints) co_return SorryPage(endpoints.error());
  Logins::Pending pending;
  pending.provider = provider;
  pending.nonce = NewHandle(24);
  pending.verifier = NewHandle(48);
  pending.next = std::move(next);
  pending.redirect_uri = visit.parts.public_url + "/login/callback";
  if (fresh) pending.fresh_from = visit.parts.clock.WallNow();
  std::string url = endpoints->authorization;
  url += url.find('?') == url.npos ? '?' : '&';
  const auto add = [&](std::string_view name, std::string_view value) {
    url.append(url.ends_with('?') || url.ends_with('&') ? "" : "&").append(name).append("=");
    url += PercentEncode(value);
  };
  std::string scopes;
  for (const std::string& scope : provider->scopes) scopes += (scopes.empty() ? "" : " ") + scope;
  add("response_type", "code");
  add("client_id", provider->client_id);
  add("redirect_uri", pending.redirect_uri);
  add("scope", scopes);
  add("nonce", pending.nonce);
  add("code_challenge", Challenge(pending.verifier));
  add("code_challenge_method", "S256");
  if (fresh) add("prompt", "login"), add("max_age", "0");
  if (mfa && !visit.parts.acr_values.empty()) add("acr_values", visit.parts.acr_values);
  add("state", logins.Begin(std::move(pending), cookie));
  Reply reply = Redirect(url);
  SetCookie(reply.headers, kLoginCookie, cookie, visit.parts.secure, 600);
  co_return reply;
}

boost::asio::awaitable<Reply> Login(Visit& visit) {
  const bool locked = CookieState(visit) == Errc::session_locked;
  co_return co_await Begin(visit, LocalPath(visit.query), locked || visit.query.Has("fresh"));
}

/// What the provider can be asked with later whether the person is still there.
PersonPoll::Given TokensOf(json::Value answer, Nanos now) {
  PersonPoll::Given given;
  const auto take = [&](const char* name) {
    const auto token = answer[name].string();
    return token && token->size() <= kLongestToken ? Secret(std::string(*token)) : Secret();
  };
  given.refresh = take("refresh_token");
  given.access = take("access_token");
  const int64_t lasts = std::clamp<int64_t>(answer["expires_in"].integer().value_or(0), 0, 86'400);
  given.access_until = now + lasts * 1'000'000'000;
  return given;
}

/// The ID token for the code that came back.
Task<identity::VerifiedPtr> Exchange(Visit& visit, const Logins::Pending& login, std::string code,
                                     PersonPoll::Given* given) {
  Logins& logins = *visit.parts.logins;
  SALLYPORT_CO_TRY(const ProviderEndpoints endpoints, co_await logins.Discover(*login.provider));
  FetchRequest request;
  request.url = endpoints.token;
  request.method = "POST";
  request.headers = {{"Content-Type", "application/x-www-form-urlencoded"},
                     {"Accept", "application/json"}};
  request.body = "grant_type=authorization_code&code=" + PercentEncode(code) +
                 "&redirect_uri=" + PercentEncode(login.redirect_uri) +
                 "&code_verifier=" + login.verifier;
  const LoginProvider& provider = *login.provider;
  if (provider.client_secret.empty()) {
    request.body += "&client_id=" + PercentEncode(provider.client_id);
  } else {
    const std::string both =
        PercentEncode(provider.client_id) + ":" + PercentEncode(provider.client_secret.Reveal());
    request.headers.emplace_back("Authorization", "Basic " + Base64Encode(AsBytes(both)));
  }
  const auto response = co_await logins.Fetch(provider, std::move(request));
  if (!response)
    co_return Fail(Errc::identity_provider_down, "The identity provider cannot be reached.");
  const auto document = json::Document::Parse(response->body);
  const auto token = document ? document->root()["id_token"].string() : std::nullopt;
  if (response->status != 200 || !token)
    co_return Fail(Errc::state_invalid, "The identity provider did not accept the login.");
  *given = TokensOf(document->root(), visit.parts.clock.WallNow());
  co_return co_await visit.parts.verifier.AuthenticateLogin(
      std::string(*token),
      {.client_id = provider.client_id,
       .nonce = login.nonce,
       .authenticated_from = login.fresh_from},
      std::chrono::steady_clock::now() + kVerifyWithin);
}

boost::asio::awaitable<Reply> Callback(Visit& visit) {
  const Parts& parts = visit.parts;
  const auto cookie = FindCookie(visit.request().headers, kLoginCookie, parts.secure);
  const auto login = parts.logins->Take(visit.query.Get("state"), cookie.value_or(""));
  if (!login) co_return RefuseLogin(visit, login.error());
  if (login->provider->saml)
    co_return RefuseLogin(visit, Error(Errc::token_issuer_unknown, "Another provider was asked."));
  // Where the provider says who it is, it has to be the one that was asked (RFC 9207).
  if (visit.query.Has("iss") && visit.query.Find("iss") != login->provider->issuer)
    co_return RefuseLogin(visit,
                          Error(Errc::token_issuer_unknown, "Another provider has answered."));
  const auto code = visit.query.Find("code");
  if (!code || code->empty())
    co_return RefuseLogin(visit,
                          Error(Errc::cancelled, "The identity provider refused the login."));
  PersonPoll::Given given;
  const auto verified = co_await Exchange(visit, *login, std::string(*code), &given);
  if (!verified) co_return RefuseLogin(visit, verified.error());
  if (parts.person_poll->Wants(*login->provider)) {
    const auto kept = co_await parts.person_poll->Keep(
        *login->provider, (*verified)->principal.subject, std::move(given));
    if (!kept) co_return RefuseLogin(visit, kept.error());
  }
  // Only what was asked for counts as proof: a provider may let somebody through because of an
  // earlier login, however recent.
  const Nanos proved_at = login->fresh_from != 0 ? parts.clock.WallNow() : 0;
  co_return co_await OpenWebSession(visit, (*verified)->principal, login->next, proved_at);
}

boost::asio::awaitable<Reply> SignOut(Visit& visit) {
  const auto token = FindCookie(visit.request().headers, kSessionCookie, visit.parts.secure);
  std::string there;
  if (const auto live = token ? visit.parts.sessions.Check(*token) : Fail(Errc::token_missing)) {
    (void)co_await visit.parts.sessions.Revoke({.session = (*live)->id}, (*live)->who.name,
                                               "signed out");
    there = co_await SamlLogoutUrl(visit, (*live)->who);
  }
  if (!there.empty())
    there = "<p><a class=\"button\" href=\"" + Escape(there) +
            "\">Sign out at the identity provider too</a></p>\n";
  Reply reply = Page("Signed out", "<h1>You are signed out</h1>\n" + there +
                                       "<p><a class=\"button\" href=\"/login\">Sign in</a></p>");
  SetCookie(reply.headers, kSessionCookie, "", visit.parts.secure, 0);
  co_return reply;
}

/// A link of our own pages signs out at once; one from elsewhere asks.
boost::asio::awaitable<Reply> AskSignOut(Visit& visit) {
  if (visit.request().headers.Find("Sec-Fetch-Site") == "same-origin")
    co_return co_await SignOut(visit);
  co_return Page("Sign out?",
                 "<h1>Sign out?</h1>\n<form method=\"post\" action=\"/logout\"><button>Sign "
                 "out</button></form>");
}

}  // namespace

Reply SorryPage(const Error& error) {
  return Page("You are not signed in",
              "<h1>You are not signed in</h1>\n<p>" + Escape(error.detail) + "</p>\n<p><code>" +
                  std::string(ReasonCode(error.code)) +
                  "</code></p>\n<p><a class=\"button\" href=\"/login\">Sign in</a></p>",
              StatusOf(error.code));
}

Reply RefuseLogin(Visit& visit, const Error& error) {
  op::Evidence evidence;
  evidence.type = op::EventType::auth_failure;
  evidence.address = visit.request().address;
  evidence.method = "login";
  evidence.reason = error.code;
  evidence.ok = false;
  const auto recorded = visit.parts.gate.Record(std::move(evidence));
  return SorryPage(recorded ? error : recorded.error());
}

void AddLogin(Router& router) {
  router.Add({.method = "GET", .path = "/login", .needs = Needs::nobody, .handler = Login});
  router.Add(
      {.method = "GET", .path = "/login/callback", .needs = Needs::nobody, .handler = Callback});
  router.Add({.method = "GET", .path = "/logout", .needs = Needs::nobody, .handler = AskSignOut});
  router.Add({.method = "POST", .path = "/logout", .needs = Needs::nobody, .handler = SignOut});
}

boost::asio::awaitable<Reply> BeginFreshLogin(Visit& visit, std::string next) {
  co_return co_await Begin(visit, std::move(next), true);
}

}  // namespace sallyport::api
