#include "credential/user_oauth.h"

#include <algorithm>
#include <utility>

#include "credential/encode.h"
#include "obs/log.h"

namespace sallyport::credential {
namespace {

constexpr size_t kThreads = 4;
constexpr Nanos kSecond = 1'000'000'000;
constexpr Nanos kLifeUnsaid = 3600 * kSecond;  // of a token that can be renewed
constexpr Nanos kAgain = 30 * kSecond;
/// Of links that an upstream makes necessary by its refusals, in this time.
constexpr uint32_t kMostForced = 3;
constexpr Nanos kForcedWithin = 3600 * kSecond;

Material MaterialOf(const UserLink& link) {
  Material made;
  made.secret = link.tokens.access;
  made.obtained_at = link.obtained_at;
  const Nanos life = link.tokens.seconds > 0       ? link.tokens.seconds * kSecond
                     : link.tokens.refresh.empty() ? 0
                                                   : kLifeUnsaid;
  if (life > 0) SetTimes(made, link.obtained_at, link.obtained_at + life);
  return made;
}

BearerChallenge ChallengeOf(const net::Headers& answer) {
  for (const auto& [name, value] : answer.fields()) {
    if (!net::SameName(name, "www-authenticate")) continue;
    if (auto challenge = ReadBearerChallenge(value)) return *challenge;
  }
  return {};
}

/// Of a link: what people and the log are told.
std::string ServerOf(const AuthServer& server) {
  return server.issuer.empty() ? OriginOfUrl(server.token_url) : server.issuer;
}

std::string BindingOf(const std::string& upstream, const UserOAuth& config) {
  std::string out = config.discover ? "discovered" : "configured";
  for (const std::string* part : {&upstream, &config.issuer, &config.token_url, &config.client_id})
    out.append("\n").append(*part);
  return out;
}

}  // namespace

bool UserOauth::StillMeant(const UserLink& link) const {
  const auto& issuers = options_.config.issuers;
  return link.bound == bound_ &&
         (issuers.empty() || std::ranges::find(issuers, link.server.issuer) != issuers.end());
}

UserOauth::UserOauth(Options options)
    : options_(std::move(options)),
      redirect_uri_(options_.public_url + "/upstream-link/callback/" + options_.connection),
      document_url_(options_.config.discover && options_.public_url.starts_with("https://")
                        ? options_.public_url + "/upstream-link/client/" + options_.connection
                        : std::string()),
      bound_(BindingOf(options_.upstream, options_.config)),
      planner_({.config = options_.config,
                .upstream = options_.upstream,
                .redirect_uri = redirect_uri_,
                .document_url = document_url_,
                .links = options_.links,
                .fetch = options_.fetch,
                .clock = options_.clock}),
      tokens_(options_.connection, options_.clock, kThreads) {}

std::string UserOauth::PageFor(const op::Principal& who) const {
  return options_.public_url + "/upstream-link?connection=" + PercentEncode(options_.connection) +
         "&for=" + options_.mark(who);
}

bool UserOauth::IsMarkOf(std::string_view mark, const op::Principal& who) const {
  return mark == options_.mark(who);
}

Error UserOauth::LinkNeeded(const op::Principal& who) const {
  return Error(Errc::upstream_link_needed, PageFor(who));
}

std::string UserOauth::LinkOf(const op::Principal& who) const {
  return options_.links->IdOf(PersonOf(who));
}

Result<> UserOauth::Record(LinkEvent::Kind kind, const op::Principal& who, std::string by,
                           const std::string& server, const Error* error,
                           std::string address) const {
  LinkEvent event{.kind = kind,
                  .connection = options_.connection,
                  .who = &who,
                  .by = std::move(by),
                  .address = std::move(address),
                  .ok = error == nullptr,
                  .reason = error == nullptr ? Errc::internal : error->code,
                  .detail = error == nullptr ? std::string() : error->detail,
                  .server = server};
  return options_.record(event);
}

Renewal::Obtain UserOauth::ObtainFor(const op::Principal& who) {
  return [this, who](std::stop_token stop) { return Obtain(who, std::move(stop)); };
}

Task<MaterialPtr> UserOauth::Apply(const Outgoing& request, net::Headers& headers) {
  if (request.caller == nullptr)
    co_return Fail(Errc::upstream_credential_failed, "there is no caller to stand for");
  const op::Principal& who = request.caller->who;
  const Person person = PersonOf(who);
  if (!options_.links->Has(person)) co_return std::unexpected(LinkNeeded(who));
  const std::string key = KeyOf(person);
  MaterialPtr token = tokens_.Known(key, ObtainFor(who));
  if (!token) {
    auto got = co_await tokens_.Get(key, ObtainFor(who));
    if (!got && !options_.links->Has(person)) co_return std::unexpected(LinkNeeded(who));
    if (!got) co_return std::unexpected(std::move(got).error());
    token = std::move(*got);
  }
  headers.Add("Authorization", "Bearer " + std::string(token->secret.Reveal()));
  co_return token;
}

/// On a thread of the Renewal: what is kept, or its successor.
Result<Material> UserOauth::Obtain(const op::Principal& who, std::stop_token stop) {
  const Person person = PersonOf(who);
  auto link = options_.links->Open(person);
  if (!link) {
    if (link.error().code != Errc::not_found && options_.links->Drop(person))
      (void)Record(LinkEvent::Kind::refresh_failed, who, "gateway", {}, &link.error());
    return std::unexpected(LinkNeeded(who));
  }
  if (!StillMeant(*link)) {
    if (options_.links->Drop(person, link->id))
      (void)Record(LinkEvent::Kind::unlinked, who, "configuration", ServerOf(link->server));
    return std::unexpected(LinkNeeded(who));
  }
  Material made = MaterialOf(*link);
  bool refused = false;
  {
    const std::lock_guard lock(mutex_);
    const auto at = refused_.find(person);
    refused = at != refused_.end() && at->second->secret.Reveal() == made.secret.Reveal();
  }
  const Nanos now = options_.clock.WallNow();
  if (!refused && (made.renew_at == 0 || now < made.renew_at)) return made;
  const bool usable = !refused && now < made.unusable_at;
  if (link->tokens.refresh.empty()) {
    made.renew_at = 0;
    if (usable) return made;
    const Error over(Errc::upstream_link_needed,
                     refused ? "the upstream does not take the token, and none renews it"
                             : "the token has ended, and none renews it");
    if (options_.links->Drop(person, link->id)) {
      (void)Record(LinkEvent::Kind::refresh_failed, who, "gateway", ServerOf(link->server), &over);
      (void)Record(LinkEvent::Kind::unlinked, who, "gateway", ServerOf(link->server));
    }
    return std::unexpected(LinkNeeded(who));
  }
  auto renewed = Refresh(who, std::move(*link), std::move(stop));
  if (renewed || !usable || !options_.links->Has(person)) return renewed;
  made.renew_at = now + kAgain;
  return made;
}

Result<Material> UserOauth::Refresh(const op::Principal& who, UserLink link, std::stop_token stop) {
  const Person person = PersonOf(who);
  const std::string server = ServerOf(link.server);
  std::string grant =
      "grant_type=refresh_token&refresh_token=" + PercentEncode(link.tokens.refresh.Reveal());
  if (!link.resource.empty()) grant += "&resource=" + PercentEncode(link.resource);
  const auto fail = [&](Error error) -> Result<Material> {
    (void)Record(LinkEvent::Kind::refresh_failed, who, "gateway", server, &error);
    return std::unexpected(std::move(error));
  };
  auto client = planner_.WithSecret(link.client);
  if (!client) return fail(client.error());
  const Nanos now = options_.clock.WallNow();
  auto tokens = AskForUserTokens(options_.config.reach, link.server.token_url, *client,
                                 std::move(grant), options_.fetch, std::move(stop));
  if (!tokens && tokens.error().code == Errc::upstream_link_needed) {
    const Error over = tokens.error();
    (void)fail(over);
    if (options_.links->Drop(person, link.id))
      (void)Record(LinkEvent::Kind::unlinked, who, "provider", server);
    return std::unexpected(LinkNeeded(who));
  }
  if (!tokens) return fail(tokens.error());
  if (tokens->refresh.empty()) tokens->refresh = std::move(link.tokens.refresh);
  if (!tokens->scope.empty()) link.scope = tokens->scope;
  link.tokens = std::move(*tokens);
  link.obtained_at = now;
  SALLYPORT_TRY(const bool there, options_.links->Renew(person, link));
  if (!there) return std::unexpected(LinkNeeded(who));
  const std::lock_guard lock(mutex_);
  refused_.erase(person);
  return MaterialOf(link);
}

bool UserOauth::Refused(const Outgoing& request, const MaterialPtr& used, int status,
                        const net::Headers&) {
  if (status != 401 || request.caller == nullptr) return false;
  const Person person = PersonOf(request.caller->who);
  planner_.Forget();
  {
    const std::lock_guard lock(mutex_);
    refused_[person] = used;
  }
  if (tokens_.Refused(KeyOf(person), used)) return true;
  const std::lock_guard lock(mutex_);
  refused_.erase(person);
  return false;
}

/// With mutex_: whether an upstream may make this person link once more. The same link is counted
/// once, however many calls it refuses.
bool UserOauth::MayForce(const Person& person) {
  const Nanos now = options_.clock.WallNow();
  const std::string link = options_.links->IdOf(person);
  Forced& forced = forced_[person];
  if (now - forced.since > kForcedWithin) forced = {.times = 0, .since = now, .link = {}};
  if (forced.link == link && forced.times > 0) return true;
  if (forced.times >= kMostForced) return false;
  ++forced.times;
  forced.link = link;
  return true;
}

std::optional<Error> UserOauth::Explain(const Outgoing& request, const MaterialPtr&, int status,
                                        const net::Headers& answer) {
  if (request.caller == nullptr) return std::nullopt;
  const op::Principal& who = request.caller->who;
  const Person person = PersonOf(who);
  if (status == 403) {  // RFC 6750 section 3.1; MCP authorization, "Scope challenge handling"
    const BearerChallenge challenge = ChallengeOf(answer);
    const auto link = options_.links->Open(person);
    if (!net::SameName(challenge.error, "insufficient_scope") || challenge.scope.empty() || !link)
      return std::nullopt;
    // More of what it has would not help.
    if (HoldsScopes(link->scope, challenge.scope)) return std::nullopt;
    const std::lock_guard lock(mutex_);
    if (!MayForce(person)) return std::nullopt;
    std::string& wanted = wanted_[person];
    std::string all = JoinScopes(wanted, challenge.scope);
    wanted = IsScope(all) ? std::move(all) : challenge.scope;
  } else {
    const std::lock_guard lock(mutex_);
    if (!MayForce(person)) return std::nullopt;
  }
  planner_.Forget();
  return LinkNeeded(who);
}

void UserOauth::Forget(const std::function<bool(const op::Principal&)>& whom) {
  // The end of one session, here or at the provider, is no end of the person's access.
  const auto meant = [&](const Person& person) {
    op::Principal who;
    who.issuer = person.issuer;
    who.subject = person.subject;
    who.session = who.sid = "\x01";
    return whom(who);
  };
  {
    const std::lock_guard lock(mutex_);
    std::erase_if(pending_, [&](const auto& entry) { return meant(entry.second.person); });
    std::erase_if(wanted_, [&](const auto& entry) { return meant(entry.first); });
    std::erase_if(forced_, [&](const auto& entry) { return meant(entry.first); });
    std::erase_if(refused_, [&](const auto& entry) { return meant(entry.first); });
  }
  for (const Person& person : options_.links->People()) {
    if (!meant(person) || !options_.links->Drop(person)) continue;
    tokens_.Forget(KeyOf(person));
    op::Principal who;
    who.issuer = person.issuer;
    who.subject = person.subject;
    (void)Record(LinkEvent::Kind::unlinked, who, "revocation", {});
  }
}

}  // namespace sallyport::credential
