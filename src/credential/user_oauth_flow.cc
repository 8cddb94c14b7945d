// Linking: the authorization code flow with PKCE (RFC 6749 section 4.1, RFC 7636, 8707, 9207,
// 9700).
#include <algorithm>
#include <array>

#include "access/digest.h"
#include "base/bytes.h"
#include "base/ids.h"
#include "credential/encode.h"
#include "credential/user_oauth.h"

namespace sallyport::credential {
namespace {

constexpr Nanos kWithin = Nanos(600) * 1'000'000'000;
constexpr size_t kMostPending = 10'000, kMostPerPerson = 8, kLongestCode = 4096;

std::string Digest(std::string_view text) { return Base64UrlEncode(access::DigestToken(text)); }

std::string ServerOf(const AuthServer& server) {
  return server.issuer.empty() ? OriginOfUrl(server.token_url) : server.issuer;
}

/// Room for one more of `person`; the oldest goes.
template <class Map, class Person>
void MakeRoom(Map& map, const Person& person, Nanos now) {
  std::erase_if(map, [&](const auto& e) { return e.second.until <= now && !e.second.taken; });
  const auto drop_oldest = [&](auto&& among) {
    auto oldest = map.end();
    size_t count = 0;
    for (auto it = map.begin(); it != map.end(); ++it) {
      if (!among(it->second)) continue;
      ++count;
      if (oldest == map.end() || it->second.until < oldest->second.until) oldest = it;
    }
    return std::pair(count, oldest);
  };
  const auto [own, own_oldest] =
      drop_oldest([&](const auto& pending) { return pending.person == person; });
  if (own >= kMostPerPerson) map.erase(own_oldest);
  if (map.size() < kMostPending) return;
  map.erase(drop_oldest([](const auto&) { return true; }).second);
}

/// Only what the standard lists is repeated (RFC 6749 section 4.1.2.1).
std::string_view Known(std::string_view error) {
  constexpr std::array<std::string_view, 9> kKnown = {
      "invalid_request", "unauthorized_client",       "access_denied",
      "invalid_scope",   "unsupported_response_type", "server_error",
      "invalid_target",  "temporarily_unavailable",   "interaction_required"};
  const auto at = std::ranges::find(kKnown, error);
  return at == kKnown.end() ? "an error of its own" : *at;
}

/// Whether the answer is of the server that was asked.
Result<> CheckIssuer(const AuthServer& server, const std::optional<std::string>& iss) {
  if (!iss && server.answers_iss)
    return Fail(Errc::token_issuer_unknown, "the answer does not say whose it is");
  if (iss && !server.issuer.empty() && *iss != server.issuer)
    return Fail(Errc::token_issuer_unknown, "another server has answered than was asked");
  return {};
}

std::string AuthorizeUrl(const AuthServer& server, const UserClient& client,
                         const std::string& redirect_uri, const LinkPlan& plan,
                         std::string_view verifier, std::string_view state) {
  std::string url = server.authorize_url;
  char separator = url.contains('?') ? '&' : '?';
  const auto add = [&](std::string_view name, std::string_view value) {
    if (value.empty()) return;
    url += std::exchange(separator, '&');
    url.append(name).append("=").append(PercentEncode(value));
  };
  add("response_type", "code");
  add("client_id", client.id);
  add("redirect_uri", redirect_uri);
  add("scope", plan.scope);
  add("resource", plan.resource);
  add("code_challenge", Digest(verifier));
  add("code_challenge_method", "S256");
  add("state", state);
  // OpenID Connect Core 11: without it offline_access counts for nothing.
  if (HoldsScopes(plan.scope, "offline_access")) add("prompt", "consent");
  return url;
}

}  // namespace

UserOauth::Status UserOauth::StatusOf(const op::Principal& who) const {
  Status status;
  if (const auto link = options_.links->Open(PersonOf(who)); link && StillMeant(*link)) {
    status = {.linked = true,
              .since = link->linked_at,
              .server = ServerOf(link->server),
              .scope = link->scope,
              .wanted = {}};
  }
  const std::lock_guard lock(mutex_);
  const auto at = wanted_.find(PersonOf(who));
  if (at != wanted_.end()) status.wanted = at->second;
  return status;
}

Result<LinkPlan> UserOauth::PlanFor(const op::Principal& who, std::stop_token stop) {
  SALLYPORT_TRY(LinkPlan plan, planner_.Plan(std::move(stop)));
  // What was granted before is asked for again: the new token takes the place of the old one.
  const Status status = StatusOf(who);
  if (!status.wanted.empty()) {
    std::string all = JoinScopes(JoinScopes(plan.scope, status.scope), status.wanted);
    plan.scope = IsScope(all) ? std::move(all) : status.wanted;
  }
  return plan;
}

Result<std::string> UserOauth::Begin(const Browser& browser, const std::string& issuer,
                                     std::stop_token stop) {
  SALLYPORT_TRY(LinkPlan plan, PlanFor(browser.who, stop));
  if (ServerOf(plan.server) != issuer)
    return Fail(Errc::state_invalid, "another server would be asked than was shown; look again");
  auto client = planner_.ClientAt(plan.server, std::move(stop));
  if (!client) {
    (void)Record(LinkEvent::Kind::linked, browser.who, "person", issuer, &client.error(),
                 browser.address);
    return std::unexpected(client.error());
  }
  const std::string state = NewHandle(24), verifier = NewHandle(48);
  std::string url = AuthorizeUrl(plan.server, *client, redirect_uri_, plan, verifier, state);
  const Nanos now = options_.clock.WallNow();
  Pending pending{.person = PersonOf(browser.who),
                  .session = browser.session,
                  .browser = Digest(browser.secret),
                  .verifier = verifier,
                  .scope = plan.scope,
                  .resource = plan.resource,
                  .server = std::move(plan.server),
                  .client = std::move(*client),
                  .until = now + kWithin};
  const std::lock_guard lock(mutex_);
  MakeRoom(pending_, pending.person, now);
  pending_.emplace(Digest(state), std::move(pending));
  return url;
}

/// What the state belongs to, once. Of another browser or person it stays as it is.
Result<UserOauth::Pending> UserOauth::Take(const Browser& browser, const std::string& state) {
  const std::lock_guard lock(mutex_);
  const auto at = pending_.find(Digest(state));
  if (at == pending_.end() || at->second.taken || at->second.until <= options_.clock.WallNow())
    return Fail(Errc::state_invalid, "this was not begun here, was used, or took too long");
  if (at->second.session != browser.session || at->second.browser != Digest(browser.secret) ||
      at->second.person != PersonOf(browser.who))
    return Fail(Errc::state_invalid, "this was begun in another browser, or by somebody else");
  at->second.taken = true;
  return at->second;
}

Result<UserLink> UserOauth::Redeem(const Pending& pending, const Answer& answer,
                                   std::stop_token stop) {
  if (answer.twice) return Fail(Errc::request_malformed, "a parameter of the answer occurs twice");
  SALLYPORT_CHECK(CheckIssuer(pending.server, answer.iss));
  if (answer.error)
    return Fail(Errc::login_denied,
                "the authorization server answered with " + std::string(Known(*answer.error)));
  if (!answer.code || answer.code->empty() || answer.code->size() > kLongestCode)
    return Fail(Errc::request_malformed, "the answer holds no code");
  SALLYPORT_TRY(const UserClient client, planner_.WithSecret(pending.client));
  std::string grant = "grant_type=authorization_code&code=" + PercentEncode(*answer.code) +
                      "&redirect_uri=" + PercentEncode(redirect_uri_) +
                      "&code_verifier=" + pending.verifier;
  if (!pending.resource.empty()) grant += "&resource=" + PercentEncode(pending.resource);
  const Nanos now = options_.clock.WallNow();
  auto tokens = AskForUserTokens(options_.config.reach, pending.server.token_url, client,
                                 std::move(grant), options_.fetch, std::move(stop));
  if (!tokens) return Fail(Errc::upstream_credential_failed, tokens.error().detail);
  UserLink link{.id = NewId("ul_"),
                .tokens = std::move(*tokens),
                .obtained_at = now,
                .scope = pending.scope,
                .resource = pending.resource,
                .bound = bound_,
                .server = pending.server,
                .client = pending.client,
                .linked_at = now};
  if (!link.tokens.scope.empty()) link.scope = link.tokens.scope;
  return link;
}

/// Recorded, kept, used; nothing of it if the person's access has ended since it was begun.
Result<> UserOauth::Keep(const Browser& browser, const std::string& state, const Pending& pending,
                         UserLink link) {
  const auto ended = [&] {
    const std::lock_guard lock(mutex_);
    return !pending_.contains(Digest(state));
  };
  const auto over = Fail(Errc::session_ended, "your access has ended meanwhile");
  if (ended()) return over;
  SALLYPORT_CHECK(Record(LinkEvent::Kind::linked, browser.who, "person", ServerOf(link.server),
                         nullptr, browser.address));
  SALLYPORT_CHECK(options_.links->Put(pending.person, link));
  if (ended()) {
    options_.links->Drop(pending.person, link.id);
    return over;
  }
  {
    const std::lock_guard lock(mutex_);
    wanted_.erase(pending.person);
    refused_.erase(pending.person);
  }
  tokens_.Forget(KeyOf(pending.person));
  return {};
}

Result<> UserOauth::Finish(const Browser& browser, const Answer& answer, std::stop_token stop) {
  const auto pending = Take(browser, answer.state);
  Result<> done;
  if (!pending) {
    done = std::unexpected(pending.error());
  } else {
    auto link = Redeem(*pending, answer, std::move(stop));
    done = link ? Keep(browser, answer.state, *pending, std::move(*link))
                : Result<>(std::unexpected(link.error()));
    const std::lock_guard lock(mutex_);
    pending_.erase(Digest(answer.state));
  }
  if (done) return done;
  const auto recorded =
      Record(LinkEvent::Kind::linked, browser.who, "person",
             pending ? ServerOf(pending->server) : std::string(), &done.error(), browser.address);
  return recorded ? done : recorded;
}

Result<bool> UserOauth::Unlink(const Browser& browser, std::stop_token stop) {
  const Person person = PersonOf(browser.who);
  const auto link = options_.links->Open(person);
  if (!options_.links->Drop(person)) return false;
  tokens_.Forget(KeyOf(person));
  {
    const std::lock_guard lock(mutex_);
    wanted_.erase(person);
    refused_.erase(person);
  }
  SALLYPORT_CHECK(Record(LinkEvent::Kind::unlinked, browser.who, "person",
                         link ? ServerOf(link->server) : std::string(), nullptr, browser.address));
  if (!link || !StillMeant(*link)) return true;
  if (const auto client = planner_.WithSecret(link->client)) {
    const bool refresh = !link->tokens.refresh.empty();
    RevokeUserToken(options_.config.reach, link->server.revocation_url, *client,
                    refresh ? link->tokens.refresh : link->tokens.access, options_.fetch,
                    std::move(stop));
  }
  return true;
}

}  // namespace sallyport::credential
