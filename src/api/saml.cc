// Signing in with a browser by SAML 2.0: the web browser SSO profile, begun here (saml-profiles
// 4.1). The answer comes as a form from another site, which brings no cookie of ours: it is kept,
// the browser is sent to /login/saml/finish, and brings its cookie there. So nobody can be signed
// in by somebody else's answer, and the cookie stays SameSite=Lax.
#include "api/saml.h"

#include <algorithm>

#include "access/digest.h"
#include "api/body.h"
#include "api/cookies.h"
#include "api/endpoints.h"
#include "api/saml_logins.h"
#include "api/web_session.h"
#include "base/bytes.h"
#include "base/ids.h"
#include "identity/principal.h"
#include "saml/request.h"

namespace sallyport::api {
namespace {

constexpr size_t kLongestName = 256, kMostGroups = 5000;
/// Entra ID names a place to ask instead of the groups when there are more than 150.
constexpr std::string_view kEntraOverage = "http://schemas.microsoft.com/claims/groups.link";

const std::vector<std::string>* Values(const saml::Assertion& assertion, const std::string& name) {
  const auto found = assertion.attributes.find(name);
  return name.empty() || found == assertion.attributes.end() ? nullptr : &found->second;
}

bool IsDisplayName(std::string_view text) {
  return !text.empty() && text.size() <= kLongestName && !identity::LooksLikeAccount(text) &&
         std::ranges::none_of(text, [](uint8_t c) { return c < 0x20 || c == 0x7f; });
}

/// Who an assertion is about: (entityID, NameID), whatever the attributes say.
op::Principal PrincipalOf(const LoginProvider& provider, const saml::Assertion& assertion) {
  op::Principal who;
  who.issuer = assertion.issuer;
  who.subject = assertion.name_id.value;
  who.name = assertion.name_id.value;
  who.provider = provider.name;
  who.token_class = "saml";
  if (!assertion.session_index.empty())
    who.sid = SamlSid(assertion.name_id.value, assertion.session_index);
  who.acr = assertion.context;
  who.auth_time = assertion.authenticated_at;
  who.expires_at = assertion.session_until;
  const auto* names = Values(assertion, provider.saml->user);
  if (names != nullptr && names->size() == 1 && IsDisplayName((*names)[0])) who.name = (*names)[0];
  if (const auto* groups = Values(assertion, provider.saml->groups)) {
    for (const std::string& group : *groups) {
      if (IsDisplayName(group) && who.groups.size() < kMostGroups)
        who.groups.push_back(provider.saml->group_prefix + group);
    }
    who.groups_complete = who.groups.size() == groups->size();
  }
  if (assertion.attributes.contains(std::string(kEntraOverage))) who.groups_complete = false;
  return who;
}

/// Base64 as forms carry it: with or without line ends.
std::optional<std::string> Decode(std::string text) {
  std::erase_if(text, [](char c) { return c == '\r' || c == '\n' || c == ' '; });
  const auto bytes = Base64Decode(text);
  if (!bytes || bytes->empty() || bytes->size() > saml::kMostResponse) return std::nullopt;
  return std::string(AsText(*bytes));
}

boost::asio::awaitable<Reply> ShowMetadata(Visit& visit) {
  Reply reply;
  reply.headers.Add("Content-Type", "application/samlmetadata+xml");
  reply.body = saml::MetadataOf(SamlSelf(visit.parts));
  co_return reply;
}

/// The provider's form. Nothing is judged here: whose browser it is shows at /login/saml/finish.
boost::asio::awaitable<Reply> Consume(Visit& visit) {
  const auto form = ReadForm(visit);
  if (!form) co_return RefuseLogin(visit, form.error());
  const std::string state = form->Get("RelayState");
  std::string response = form->Get("SAMLResponse");
  if (response.empty() || response.size() > saml::kMostResponse * 3 / 2)
    co_return RefuseLogin(visit, Error(Errc::token_malformed,
                                       "The identity provider has sent no answer, or too much."));
  const LoginProvider* provider = visit.parts.logins->Asked(state);
  if (provider == nullptr || !provider->saml)
    co_return RefuseLogin(
        visit, Error(Errc::state_invalid,
                     "This login was not begun here, or took too long. Logins begin at this "
                     "gateway, not at the identity provider."));
  visit.parts.saml->Hold(state, std::move(response));
  co_return Redirect("/login/saml/finish?state=" + PercentEncode(state));
}

Task<saml::Assertion> Verify(Visit& visit, const Logins::Pending& login, std::string response) {
  const Parts& parts = visit.parts;
  const auto xml = Decode(std::move(response));
  if (!xml) co_return Fail(Errc::token_malformed, "the answer is not base64, or too long");
  SALLYPORT_CO_TRY(const saml::Metadata metadata, co_await parts.saml->Read(*login.provider));
  // Asked was the provider of then: if the metadata names another by now, its answer is no answer.
  if (metadata.entity_id != login.issuer)
    co_return Fail(Errc::token_issuer_unknown, "Another provider has answered.");
  const saml::ServiceProvider us = SamlSelf(parts);
  saml::Expected expected{.issuer = metadata.entity_id,
                          .keys = metadata.keys,
                          .audience = us.entity_id,
                          .acs = us.acs,
                          .request_id = login.request_id,
                          .now = parts.clock.WallNow()};
  const Nanos skew = std::chrono::nanoseconds(expected.skew).count();
  SALLYPORT_CO_TRY(saml::Assertion assertion,
                   co_await parts.saml->Check(*xml, std::move(expected)));
  if (login.fresh_from != 0 && assertion.authenticated_at < login.fresh_from - skew)
    co_return Fail(Errc::login_stale, "The identity provider did not ask anew who you are.");
  co_return assertion;
}

boost::asio::awaitable<Reply> Finish(Visit& visit) {
  const Parts& parts = visit.parts;
  const std::string state = visit.query.Get("state");
  const auto cookie = FindCookie(visit.request().headers, kLoginCookie, parts.secure);
  const auto login = parts.logins->Take(state, cookie.value_or(""));
  if (!login) co_return RefuseLogin(visit, login.error());
  std::string response = parts.saml->Collect(state);
  if (!login->provider->saml || response.empty())
    co_return RefuseLogin(visit,
                          Error(Errc::state_invalid, "The identity provider has not answered."));
  auto assertion = co_await Verify(visit, *login, std::move(response));
  if (!assertion) co_return RefuseLogin(visit, assertion.error());
  const Nanos proved_at = login->fresh_from != 0 ? parts.clock.WallNow() : 0;
  if (identity::LooksLikeAccount(assertion->name_id.value))
    co_return RefuseLogin(visit, Error(Errc::token_claims_invalid,
                                       "The NameID has the form by which rules name accounts."));
  op::Principal who = PrincipalOf(*login->provider, *assertion);
  parts.saml->Remember(who, assertion->name_id, assertion->session_index);
  co_return co_await OpenWebSession(visit, std::move(who), login->next, proved_at);
}

}  // namespace

saml::ServiceProvider SamlSelf(const Parts& parts) {
  return {.entity_id = parts.public_url + "/login/saml/metadata",
          .acs = parts.public_url + "/login/saml/acs",
          .logout = parts.public_url + "/login/saml/logout",
          .signer = parts.saml->signer()};
}

std::string SamlSid(std::string_view name_id, std::string_view session_index) {
  return Base64UrlEncode(
      access::DigestToken(std::string(name_id) + "\n" + std::string(session_index)));
}

boost::asio::awaitable<Reply> BeginSaml(Visit& visit, const LoginProvider& provider,
                                        std::string cookie, std::string next, bool fresh) {
  const Parts& parts = visit.parts;
  const auto metadata = co_await parts.saml->Read(provider);
  if (!metadata) co_return SorryPage(metadata.error());
  Logins::Pending pending;
  pending.provider = &provider;
  pending.issuer = metadata->entity_id;
  pending.request_id = "_" + NewHandle(24);
  pending.next = std::move(next);
  if (fresh) pending.fresh_from = parts.clock.WallNow();
  const std::string id = pending.request_id;
  const std::string state = parts.logins->Begin(std::move(pending), cookie);
  Reply reply = Redirect(
      saml::RequestUrl(SamlSelf(parts), *metadata, id, parts.clock.WallNow(), fresh, state));
  SetCookie(reply.headers, kLoginCookie, cookie, parts.secure, 600);
  co_return reply;
}

void AddSaml(Router& router) {
  router.Add({.method = "GET",
              .path = "/login/saml/metadata",
              .needs = Needs::nobody,
              .handler = ShowMetadata});
  router.Add({.method = "POST",
              .path = "/login/saml/acs",
              .needs = Needs::nobody,
              .handler = Consume,
              .foreign = true});
  router.Add(
      {.method = "GET", .path = "/login/saml/finish", .needs = Needs::nobody, .handler = Finish});
}

}  // namespace sallyport::api
