// Single logout by SAML 2.0 (saml-profiles 4.4), both ways: the provider ends what it has signed
// in, and who signs out here is offered the way out there. A message counts by its signature alone;
// whose browser brings it does not matter.
#include <algorithm>

#include "api/body.h"
#include "api/cookies.h"
#include "api/endpoints.h"
#include "api/saml.h"
#include "api/saml_logins.h"
#include "base/bytes.h"
#include "base/ids.h"
#include "saml/redirect.h"
#include "saml/request.h"

namespace sallyport::api {
namespace {

/// A message whose signature is good, and the provider that made it.
struct Signed {
  saml::Metadata provider;
  std::string relay_state;
  saml::Logout logout;
};

Reply RefuseLogout(Visit& visit, const Error& error) {
  op::Evidence evidence;
  evidence.type = op::EventType::auth_failure;
  evidence.address = visit.request().address;
  evidence.method = "saml-logout";
  evidence.reason = error.code;
  evidence.ok = false;
  const auto recorded = visit.parts.gate.Record(std::move(evidence));
  const Error& told = recorded ? error : recorded.error();
  return Page("Nothing was signed out",
              "<h1>Nothing was signed out</h1>\n<p>" + Escape(told.detail) + "</p>\n<p><code>" +
                  std::string(ReasonCode(told.code)) + "</code></p>",
              StatusOf(told.code));
}

saml::LogoutExpected ExpectedOf(const Visit& visit, const saml::Metadata& provider) {
  return {.issuer = provider.entity_id,
          .keys = provider.keys,
          .destination = SamlSelf(visit.parts).logout,
          .now = visit.parts.clock.WallNow()};
}

/// The provider is the one whose key has signed.
template <class Look>
Task<Signed> FindSigner(Visit& visit, Look look) {
  Error last(Errc::not_found, "No SAML provider is configured.");
  for (const LoginProvider& provider : visit.parts.logins->providers()) {
    if (!provider.saml) continue;
    auto metadata = co_await visit.parts.saml->Read(provider);
    if (!metadata) {
      last = metadata.error();
      continue;
    }
    auto found = co_await look(*metadata);
    if (found || found.error().code != Errc::token_signature_invalid) co_return found;
    last = found.error();
  }
  co_return std::unexpected(std::move(last));
}

/// By the redirect binding.
Task<Signed> FromQuery(Visit& visit) {
  co_return co_await FindSigner(visit, [&visit](const saml::Metadata& provider) -> Task<Signed> {
    auto read = saml::ReadRedirect(visit.request().query(), provider.keys);
    if (!read) co_return std::unexpected(std::move(read).error());
    saml::LogoutExpected expected = ExpectedOf(visit, provider);
    expected.signed_beside = true;
    SALLYPORT_CO_TRY(saml::Logout logout, co_await visit.parts.saml->CheckLogout(
                                              std::move(read->deflated), std::move(expected)));
    if (logout.request != (read->kind == saml::Kind::request))
      co_return Fail(Errc::token_malformed, "a request that is called a response, or reverse");
    co_return Signed{provider, std::move(read->relay_state), std::move(logout)};
  });
}

/// By the POST binding.
Task<Signed> FromForm(Visit& visit) {
  const auto form = ReadForm(visit);
  if (!form) co_return std::unexpected(form.error());
  const bool request = form->Has("SAMLRequest");
  std::string text = form->Get(request ? "SAMLRequest" : "SAMLResponse");
  std::erase_if(text, [](char c) { return c == '\r' || c == '\n' || c == ' '; });
  const auto xml = Base64Decode(text);
  if (!xml || xml->empty() || request == form->Has("SAMLResponse"))
    co_return Fail(Errc::token_malformed, "no message of single logout");
  co_return co_await FindSigner(visit, [&](const saml::Metadata& provider) -> Task<Signed> {
    SALLYPORT_CO_TRY(saml::Logout logout,
                     co_await visit.parts.saml->CheckLogout(std::string(AsText(*xml)),
                                                            ExpectedOf(visit, provider)));
    if (logout.request != request)
      co_return Fail(Errc::token_malformed, "a request that is called a response, or reverse");
    co_return Signed{provider, form->Get("RelayState"), std::move(logout)};
  });
}

/// Ends what came out of the sessions that the provider names, or all that the person has.
Task<> EndWhatItNames(Visit& visit, const Signed& message) {
  const saml::Logout& logout = message.logout;
  std::vector<std::string> sessions;
  for (const std::string& index : logout.sessions)
    sessions.push_back(SamlSid(logout.name_id, index));
  if (sessions.empty()) sessions.emplace_back();
  for (const std::string& sid : sessions) {
    SALLYPORT_CO_CHECK(co_await visit.parts.sessions.Revoke(
        {.issuer = message.provider.entity_id, .subject = logout.name_id, .sid = sid},
        "saml-logout", "signed out at the identity provider", "saml-logout"));
  }
  co_return Result<>();
}

boost::asio::awaitable<Reply> Answer(Visit& visit, Result<Signed> message) {
  if (!message) co_return RefuseLogout(visit, message.error());
  const Parts& parts = visit.parts;
  if (!message->logout.request) {
    const bool ours = parts.saml->TakeLogout(message->logout.in_response_to);
    if (!ours)
      co_return RefuseLogout(
          visit, Error(Errc::state_invalid, "This is no answer to a logout that began here."));
    co_return Page("Signed out",
                   message->logout.success
                       ? "<h1>You are signed out, at the identity provider too</h1>"
                       : "<h1>You are signed out here</h1>\n<p>The identity provider says that not "
                         "every service has ended its session.</p>");
  }
  if (const auto once = parts.saml->TakeMessage(message->provider.entity_id, message->logout.id);
      !once)
    co_return RefuseLogout(visit, once.error());
  if (const auto ended = co_await EndWhatItNames(visit, *message); !ended)
    co_return RefuseLogout(visit, ended.error());
  Reply reply;
  if (message->provider.logout_url.empty()) {
    reply = Page("Signed out", "<h1>You are signed out</h1>");
  } else {
    reply = Redirect(saml::LogoutAnswerUrl(SamlSelf(parts), message->provider, "_" + NewHandle(24),
                                           parts.clock.WallNow(), message->logout.id,
                                           message->relay_state));
  }
  co_return reply;
}

boost::asio::awaitable<Reply> ByRedirect(Visit& visit) {
  auto message = co_await FromQuery(visit);
  co_return co_await Answer(visit, std::move(message));
}

boost::asio::awaitable<Reply> ByPost(Visit& visit) {
  auto message = co_await FromForm(visit);
  co_return co_await Answer(visit, std::move(message));
}

}  // namespace

boost::asio::awaitable<std::string> SamlLogoutUrl(Visit& visit, const op::Principal& who) {
  const Parts& parts = visit.parts;
  const LoginProvider* provider = parts.logins->Provider(who.provider);
  const auto name = parts.saml->NameOf(who);
  if (provider == nullptr || !provider->saml || provider->name != who.provider || !name)
    co_return std::string();
  const auto metadata = co_await parts.saml->Read(*provider);
  if (!metadata || metadata->logout_url.empty() || metadata->entity_id != who.issuer)
    co_return std::string();
  const std::string id = "_" + NewHandle(24);
  parts.saml->BeginLogout(id);
  co_return saml::LogoutUrl(SamlSelf(parts), *metadata, id, parts.clock.WallNow(), name->first,
                            name->second);
}

void AddSamlLogout(Router& router) {
  router.Add({.method = "GET",
              .path = "/login/saml/logout",
              .needs = Needs::nobody,
              .handler = ByRedirect});
  router.Add({.method = "POST",
              .path = "/login/saml/logout",
              .needs = Needs::nobody,
              .handler = ByPost,
              .foreign = true});
}

}  // namespace sallyport::api
