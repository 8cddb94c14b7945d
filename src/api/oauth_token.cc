// POST /token for MCP clients: a code or a refresh token for an access token (RFC 6749 sections
// 4.1.3, 6; RFC 7636; RFC 8707).
#include <algorithm>
#include <nlohmann/json.hpp>

#include "api/exchange.h"
#include "api/oauth_server.h"
#include "base/bytes.h"

namespace sallyport::api {
namespace {

using nlohmann::ordered_json;

constexpr std::string_view kByBasic = "Basic ";
constexpr std::string_view kJwtBearer = "urn:ietf:params:oauth:grant-type:jwt-bearer";
constexpr std::chrono::seconds kVerifyWithin{5};
constexpr size_t kLongestAssertion = 16 << 10;

/// The client and its secret, from the one place where they stand.
struct Credentials {
  std::string id;
  std::optional<std::string> secret;
  bool basic = false;
};

Result<Credentials> ReadCredentials(const Visit& visit, const Form& form) {
  Credentials out{.id = form.Get("client_id")};
  const net::Headers& headers = visit.request().headers;
  if (headers.Count("Authorization") == 0) {
    if (form.Has("client_secret")) out.secret = form.Get("client_secret");
    if (out.id.empty()) return Fail(Errc::request_malformed, "client_id is missing");
    return out;
  }
  const std::string_view field = *headers.Find("Authorization");
  if (headers.Count("Authorization") > 1 || !field.starts_with(kByBasic) ||
      form.Has("client_secret"))
    return Fail(Errc::request_malformed, "a client proves itself in one way only");
  const auto decoded = Base64Decode(field.substr(kByBasic.size()));
  const std::string_view both = decoded ? AsText(*decoded) : std::string_view();
  const size_t colon = both.find(':');
  if (colon == both.npos) return Fail(Errc::request_malformed, "the Authorization field is broken");
  // Both are form-encoded (RFC 6749 section 2.3.1): read as a form of two fields.
  const Form pair("id=" + std::string(both.substr(0, colon)) +
                  "&secret=" + std::string(both.substr(colon + 1)));
  if (!out.id.empty() && out.id != pair.Get("id"))
    return Fail(Errc::request_malformed, "two clients are named");
  return Credentials{.id = pair.Get("id"), .secret = pair.Get("secret"), .basic = true};
}

Reply RefuseClient(const Error& error, bool basic) {
  Reply reply = OauthProblem(error, "invalid_client");
  if (reply.status != 400) return reply;
  reply.status = 401;
  if (basic) reply.headers.Add("WWW-Authenticate", "Basic realm=\"sallyport\"");
  return reply;
}

Reply Granted(const Visit& visit, const access::Opened& opened, const std::string& scope,
              const std::string& refresh) {
  ordered_json body{
      {"access_token", opened.token},
      {"token_type", "Bearer"},
      {"expires_in", (opened.token_until - visit.parts.clock.WallNow()) / 1'000'000'000},
      {"scope", scope},
      {"session", opened.id}};
  if (!refresh.empty()) body["refresh_token"] = refresh;
  return Json(body.dump());
}

std::string About(const Credentials& client) { return "client " + client.id.substr(0, 256); }

/// A refusal of what was shown; `*session`, which was opened by it, ends.
boost::asio::awaitable<Reply> RefuseGrant(Visit& visit, const Credentials& client,
                                          std::string_view method, Error error,
                                          const std::string& session, const char* why) {
  if (!session.empty()) {
    visit.parts.oauth->grants().Forget(session);
    (void)co_await visit.parts.sessions.Revoke({.session = session}, "sallyport", why);
  }
  error = RecordRefusal(visit, method, error, nullptr, About(client));
  co_return OauthProblem(error, "invalid_grant");
}

boost::asio::awaitable<Reply> FromCode(Visit& visit, const Form& form, const Credentials& client) {
  OauthServer& server = *visit.parts.oauth;
  const std::string code = form.Get("code"), redirect = form.Get("redirect_uri"),
                    verifier = form.Get("code_verifier");
  if (code.empty() || redirect.empty() || verifier.empty())
    co_return OauthProblem(
        Error(Errc::request_malformed, "code, redirect_uri or code_verifier is missing"),
        "invalid_request");
  std::string earlier;
  auto granted = server.grants().Redeem(
      {.code = code, .client = client.id, .redirect_uri = redirect, .verifier = verifier},
      &earlier);
  if (!granted)
    co_return co_await RefuseGrant(visit, client, "oauth-code", granted.error(), earlier,
                                   "its code was used twice");
  if (form.Has("resource") && form.Get("resource") != granted->resource) {
    const Error error =
        RecordRefusal(visit, "oauth-code",
                      Error(Errc::token_audience_wrong, "resource is not what was agreed to"),
                      &granted->opening.who, About(client));
    co_return OauthProblem(error, "invalid_target");
  }
  const op::Principal who = granted->opening.who;
  const auto opened = co_await visit.parts.sessions.Open(std::move(granted->opening));
  if (!opened) {
    const Error error = RecordRefusal(visit, "oauth-code", opened.error(), &who, About(client));
    co_return OauthProblem(error, "invalid_grant");
  }
  server.grants().Redeemed(code, opened->id);
  std::string refresh;
  if (opened->token_until < opened->expires_at) {
    auto begun = co_await server.grants().Begin(opened->id, client.id, opened->expires_at);
    if (begun) refresh = std::move(*begun);  // without one its person signs in again
  }
  co_return Granted(visit, *opened, granted->scope, refresh);
}

boost::asio::awaitable<Reply> FromRefresh(Visit& visit, const Form& form,
                                          const Credentials& client) {
  OauthServer& server = *visit.parts.oauth;
  const std::string token = form.Get("refresh_token");
  if (token.empty())
    co_return OauthProblem(Error(Errc::request_malformed, "refresh_token is missing"),
                           "invalid_request");
  std::string ends;
  const std::string id = server.grants().SessionOf(token);
  const auto session = visit.parts.sessions.Find(id);
  if (session && form.Has("resource")) {
    const auto target = server.ResourceOf(form.Get("resource"));
    if (!target || target->bound != session->session->resource) {
      const Error error =
          RecordRefusal(visit, "oauth-refresh",
                        Error(Errc::token_audience_wrong, "resource is not what was agreed to"),
                        &session->session->who, About(client));
      co_return OauthProblem(error, "invalid_target");
    }
  }
  const auto turn = co_await server.grants().Rotate(token, client.id, &ends);
  if (!turn)
    co_return co_await RefuseGrant(visit, client, "oauth-refresh", turn.error(), ends,
                                   "its refresh token was used twice");
  const auto opened =
      co_await visit.parts.sessions.Renew(turn->session, server.config().access_token, !turn->lost);
  if (!opened) {
    const bool over =
        opened.error().code == Errc::session_ended || opened.error().code == Errc::session_unknown;
    if (over) server.grants().Forget(turn->session);
    co_return co_await RefuseGrant(visit, client, "oauth-refresh", opened.error(), "", "");
  }
  const bool limited = session && !session->session->scope.empty();
  co_return Granted(visit, *opened, std::string(limited ? kScopeRead : kAllScopes), turn->token);
}

/// A client for whose people a provider speaks: one that an administrator has let in, by its name
/// or by its host. One that registered itself is nobody that a provider could mean.
Result<oauth::Client> TrustedClient(OauthServer& server, const std::string& id) {
  if (OauthDocuments::IsUrl(id)) {
    SALLYPORT_CHECK(server.documents().Check(id));
    return oauth::Client{.kind = oauth::Client::Kind::document, .id = id, .label = id, .name = id};
  }
  SALLYPORT_TRY(oauth::Client client, server.Find(id));
  if (client.kind == oauth::Client::Kind::registered)
    return Fail(Errc::not_found, "a client that registered itself cannot show an ID-JAG");
  return client;
}

/// What the assertion gives, if everything about it is right.
boost::asio::awaitable<Result<access::Opening>> Asserted(Visit& visit, const Form& form,
                                                         const Credentials& client,
                                                         std::string* scope, op::Principal* who) {
  OauthServer& server = *visit.parts.oauth;
  SALLYPORT_CO_TRY(const oauth::Client known, TrustedClient(server, client.id));
  const std::string assertion = form.Get("assertion");
  if (assertion.empty() || assertion.size() > kLongestAssertion)
    co_return Fail(Errc::request_malformed, "assertion is missing, or too long");
  SALLYPORT_CO_TRY(const identity::VerifiedPtr verified,
                   co_await visit.parts.verifier.AuthenticateIdJag(
                       assertion, {.audience = server.issuer(), .client_id = client.id},
                       std::chrono::steady_clock::now() + kVerifyWithin));
  *who = verified->principal;
  const auto& providers = server.config().id_jag;
  if (std::ranges::find(providers, who->provider) == providers.end())
    co_return Fail(Errc::token_issuer_unknown, "ID-JAGs of this provider are not taken");
  const auto target = server.ResourceOf(verified->resources.front());
  const bool same = !form.Has("resource") || form.Get("resource") == verified->resources.front();
  if (!target || !same)
    co_return Fail(Errc::token_audience_wrong, "resource is not one of this gateway's connections");
  SALLYPORT_CO_CHECK(visit.parts.exchanged->Take(assertion, *verified));
  std::string asked = form.Get("scope"), given;
  for (const std::string& one : verified->scopes) given += one + ' ';
  *scope = KnownScopes(asked);
  if (KnownScopes(given) == kScopeRead) *scope = kScopeRead;
  access::Opening opening = OpeningOf(server, known, *target, *scope);
  opening.who = *who;
  opening.who.client_id = known.label;
  opening.client += " at " + visit.request().address;
  opening.lasts = server.config().access_token;  // then its provider is asked again
  opening.authenticated_at = verified->issued_at;
  co_return opening;
}

/// Enterprise-managed authorization: the provider has decided, the person is asked nothing.
boost::asio::awaitable<Reply> FromIdJag(Visit& visit, const Form& form, const Credentials& client) {
  std::string scope;
  op::Principal who;
  auto opening = co_await Asserted(visit, form, client, &scope, &who);
  Result<access::Opened> opened = std::unexpected(opening ? Error() : opening.error());
  if (opening) opened = co_await visit.parts.sessions.Open(std::move(*opening));
  if (opened) co_return Granted(visit, *opened, scope, "");
  const Error error = RecordRefusal(visit, "oauth-id-jag", opened.error(),
                                    who.subject.empty() ? nullptr : &who, About(client));
  const std::string_view oauth = error.code == Errc::not_found           ? "unauthorized_client"
                                 : error.code == Errc::request_malformed ? "invalid_request"
                                                                         : "invalid_grant";
  co_return OauthProblem(error, oauth);
}

}  // namespace

boost::asio::awaitable<Reply> GrantToken(Visit& visit, const Form& form) {
  const std::string grant = form.Get("grant_type");
  const auto client = ReadCredentials(visit, form);
  if (!client) co_return OauthProblem(client.error(), "invalid_request");
  if (const auto proved = visit.parts.oauth->CheckSecret(client->id, client->secret); !proved) {
    co_return RefuseClient(
        RecordRefusal(visit, "oauth-client", proved.error(), nullptr, About(*client)),
        client->basic);
  }
  if (grant == "authorization_code") co_return co_await FromCode(visit, form, *client);
  if (grant == "refresh_token") co_return co_await FromRefresh(visit, form, *client);
  if (grant == kJwtBearer && !visit.parts.oauth->config().id_jag.empty())
    co_return co_await FromIdJag(visit, form, *client);
  co_return OauthProblem(Error(Errc::request_malformed, "grant_type is none that is served here"),
                         form.Has("grant_type") ? "unsupported_grant_type" : "invalid_request");
}

}  // namespace sallyport::api
