#include "app/people.h"

#include <algorithm>

#include "access/store_sqlite.h"
#include "api/oauth_server.h"
#include "app/keys.h"
#include "app/offboarding.h"
#include "mask/seal.h"
#include "net/event.h"
#include "oauth/store.h"
#include "obs/log.h"
#include "obs/metrics.h"
#include "policy/step_up.h"
#include "saml/signer.h"
#include "saml/source.h"
#include "secrets/source.h"

namespace sallyport::app {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kWatch{100};
constexpr milliseconds kLook{2};
constexpr std::chrono::seconds kCutWithin{10};
constexpr size_t kWords = 1024;  // recorded of what a person said
constexpr size_t kLimits = 16 * 1024;

std::string UnlockUrl(const config::Root& root) {
  std::string url = root.server.public_url;
  while (url.ends_with('/')) url.pop_back();
  return url + "/unlock?session=";
}

bool IsMeant(const std::string& entry, const op::Principal& who) {
  if (entry.starts_with("group:"))
    return std::ranges::find(who.groups, entry.substr(6)) != who.groups.end();
  if (entry.starts_with("agent:")) return !who.agent.empty() && entry.substr(6) == who.agent;
  // Not the name: people choose it themselves at some providers (invariant I4).
  return entry == "user:" + who.subject || entry == "user:" + who.issuer + "|" + who.subject;
}

obs::Histogram& KillSeconds(std::string_view source) {
  static auto& family = obs::Metrics().histograms(
      "sallyport_kill_seconds", "From the wish to end somebody's access to the last thing cut",
      {"source"}, {0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10});
  return family.With({source});
}

/// Where the groups of each provider's people stand, in words.
std::map<std::string, std::string> GroupPlacesOf(const config::Root& root) {
  std::map<std::string, std::string> out;
  for (const identity::ProviderConfig& provider : root.providers)
    out[provider.name] = "claim \"" + provider.claims.groups + '"';
  for (const config::SamlProvider& provider : root.saml)
    out[provider.name] =
        provider.groups.empty() ? "no attribute" : "attribute \"" + provider.groups + '"';
  return out;
}

std::vector<api::LoginProvider> LoginsOf(const config::Root& root, Result<>& failed) {
  std::vector<api::LoginProvider> out;
  for (const config::Login& login : root.logins) {
    const auto provider =
        std::ranges::find(root.providers, login.provider, &identity::ProviderConfig::name);
    if (provider == root.providers.end()) continue;
    api::LoginProvider made{.name = provider->name,
                            .issuer = provider->issuer,
                            .client_id = provider->client_id,
                            .client_secret = {},
                            .scopes = login.scopes,
                            .ca_file = provider->ca_file,
                            .allow_addresses = provider->allow_addresses,
                            .allow_loopback_http = provider->allow_loopback_http};
    if (made.scopes.empty()) made.scopes = {"openid", "profile", "email"};
    if (login.secret) {
      auto secret = secrets::Resolve(*login.secret);
      if (!secret) failed = std::unexpected(std::move(secret).error());
      if (secret) made.client_secret = std::move(*secret);
    }
    out.push_back(std::move(made));
  }
  for (const config::SamlProvider& provider : root.saml) {
    out.push_back({.name = provider.name,
                   .saml = api::LoginProvider::Saml{
                       .metadata = [ref = provider.metadata] { return saml::ReadSource(ref); },
                       .user = provider.user,
                       .groups = provider.groups,
                       .group_prefix = provider.group_prefix}});
  }
  return out;
}

/// Null if it is off.
std::shared_ptr<api::OauthServer> OauthServerOf(const config::Root& root, state::Writer& state,
                                                Result<>& failed) {
  if (!root.oauth_server.enabled) return nullptr;
  const auto key = KeyFile(root.server.data_dir / "state/state.key");
  auto sealer = key ? state::Sealer::Make(*key) : std::unexpected(key.error());
  if (!sealer) {
    failed = std::unexpected(std::move(sealer).error());
    return nullptr;
  }
  api::OauthServer::Options options{.config = root.oauth_server,
                                    .secrets = {},
                                    .public_url = root.server.public_url,
                                    .connections = {},
                                    .store = oauth::MakeSqliteStore(state),
                                    .sealer = std::move(*sealer),
                                    .clock = SystemClock()};
  while (options.public_url.ends_with('/')) options.public_url.pop_back();
  for (const config::Connection& connection : root.connections) {
    if (connection.mcp) options.connections.push_back(connection.name);
  }
  for (const oauth::ClientConfig& client : root.oauth_server.clients) {
    if (!client.secret) continue;
    auto secret = secrets::Resolve(*client.secret);
    if (!secret) failed = std::unexpected(std::move(secret).error());
    if (secret) options.secrets[client.id] = std::move(*secret);
  }
  return std::make_shared<api::OauthServer>(std::move(options));
}

std::vector<std::string> SecondFactors(const config::Root& root) {
  return root.mfa.accept.empty() ? policy::DefaultSecondFactors() : root.mfa.accept;
}

std::string Joined(const std::vector<std::string>& words) {
  std::string out;
  for (const std::string& word : words) out += (out.empty() ? "" : " ") + word;
  return out;
}

}  // namespace

Roles RolesOf(const config::Root& root) {
  return [roles = root.roles](const op::Principal& who, std::string_view role) {
    const auto entries = roles.find(std::string(role));
    return entries != roles.end() && std::ranges::any_of(entries->second, [&](const auto& entry) {
             return IsMeant(entry, who);
           });
  };
}

Strong StrongOf(const config::Root& root) {
  return [roles = root.mfa.require_for, accept = SecondFactors(root)](
             const op::Principal& who, std::string_view role) -> Result<> {
    if (std::ranges::find(roles, role) == roles.end()) return {};
    return policy::CheckStepUp({.mfa = true}, who, accept, 0);
  };
}

/// What has to end, until it has.
struct People::Cut {
  Cut(access::Ended e, boost::asio::any_io_executor x)
      : ended(std::move(e)), executor(x), streams_ended(x) {}
  access::Ended ended;
  boost::asio::any_io_executor executor;
  net::Event streams_ended;
  mcp::Frontend::Killed killed;
  size_t databases = 0, approvals = 0;
};

People::People(const config::Root& root, state::Writer& state, gate::Gate& gate,
               net::Shards& shards, std::shared_ptr<const mask::Masker> masker)
    : gate_(gate), state_(state), shards_(shards), unlock_url_(UnlockUrl(root)) {
  roles_.store(std::make_shared<const Roles>(RolesOf(root)));
  strong_.store(std::make_shared<const Strong>(StrongOf(root)));
  masker_.store(std::move(masker));
  sessions_ = access::Sessions::Make(
      {.idle = root.session_idle, .max_duration = root.session_max, .unlock_url = unlock_url_},
      access::MakeSqliteStore(state), SystemClock());
  replays_ = std::make_unique<access::Replays>(state, SystemClock());
  if (!sessions_->failure().empty())
    obs::Log(obs::Level::error, "access.sessions_lost", {{"detail", sessions_->failure()}});
  sessions_->OnEnd([this](const access::Ended& ended) { OnEnd(ended); });
  sessions_->OnLock([this](const access::Live& live, bool locked) { OnLock(live, locked); });
  sessions_->OnOpen([this](const access::Live& live) {
    op::AccessEvidence about;
    about.session = live.id;
    about.kind = live.kind;
    about.whom = &live.who;
    std::vector<op::MaskCount> counts;
    about.why = mask::Seal::Text(*masker_.load(), live.reason, kWords, counts).text;
    about.grant = mask::Seal::Text(*masker_.load(), live.scope, kLimits, counts).text;
    Record(op::EventType::session_opened, about, live.resource);
  });
}

People::~People() = default;

Result<> People::Build(const config::Root& root, identity::TokenVerifier& verifier,
                       mcp::Frontend& frontend, pg::Frontend* databases, Approvals& approvals,
                       const credential::IssuerKeys* issuer_keys,
                       std::vector<api::UpstreamLink> upstream_links,
                       std::shared_ptr<review::Desk> reviews) {
  frontend_ = &frontend;
  databases_ = databases;
  desk_ = &approvals.desk();
  Result<> failed;
  auto logins = LoginsOf(root, failed);
  auto server = OauthServerOf(root, state_, failed);
  SALLYPORT_CHECK(std::move(failed));
  std::shared_ptr<const saml::Signer> saml_signer;
  if (!root.saml.empty()) {
    SALLYPORT_TRY(const Secret pem, SamlKeyFile(root.server.data_dir / "state/saml.pem"));
    SALLYPORT_TRY(saml_signer, saml::Signer::FromPem(pem));
  }
  SALLYPORT_TRY(auto signals, SignalSourcesOf(root));
  SALLYPORT_TRY(transmitters_, MakeTransmitters(root));
  auto person_polls = PersonPollsOf(root);
  if (!person_polls.empty()) {
    SALLYPORT_TRY(const Secret key, KeyFile(root.server.data_dir / "state/state.key"));
    SALLYPORT_TRY(state::Sealer sealer, state::Sealer::Make(key));
    grants_ = std::make_unique<access::KeptGrants>(state_, std::move(sealer));
  }
  DeclareOffboarding(root);
  api_ = std::make_unique<api::Api>(api::Options{
      .gate = gate_,
      .sessions = *sessions_,
      .verifier = verifier,
      .clock = SystemClock(),
      .public_url = root.server.public_url,
      .allowed_hosts = root.server.allowed_hosts,
      .allowed_origins = root.server.allowed_origins,
      .logins = std::move(logins),
      .has_role = [this](const op::Principal& who,
                         std::string_view role) { return (*roles_.load())(who, role); },
      .strong = [this](const op::Principal& who,
                       std::string_view role) { return (*strong_.load())(who, role); },
      .acr_values = Joined(root.mfa.acr_values.empty() ? SecondFactors(root) : root.mfa.acr_values),
      .mask =
          [this](std::string_view text) {
            std::vector<op::MaskCount> counts;
            return mask::Seal::Text(*masker_.load(), text, kWords, counts);
          },
      .desk = desk_,
      .passkeys = &approvals.passkeys(),
      .issuer_keys = issuer_keys,
      .saml_signer = std::move(saml_signer),
      .signals = std::move(signals),
      .transmitters = transmitters_.get(),
      .replays = replays_.get(),
      .event_polls = EventPollsOf(root),
      .person_polls = std::move(person_polls),
      .grants = grants_.get(),
      .offboarding = WorstCasesOf(root),
      .groups_from = GroupPlacesOf(root),
      .oauth = std::move(server),
      .reviews = std::move(reviews),
      .upstream_links = std::move(upstream_links)});
  desk_->OnChange([this](const approval::Request& request) { api_->Tell(request); });
  obs::Metrics().Observe("sallyport_sessions", "Sessions of people that have not ended",
                         [this] { return double(sessions_->List().size()); });
  return {};
}

void People::Start() {
  if (transmitters_) transmitters_->Start();
  api_->Start(shards_.executor(0));
  net::Spawn(shards_.executor(0), Watch(*this));
}

boost::asio::awaitable<void> People::Watch(People& people) {
  while (!people.stopped_) {
    people.sessions_->Tick();
    people.frontend_->EndExpired();
    if (!co_await net::Sleep(kWatch)) co_return;
  }
}

void People::Reload(const config::Root& root, std::shared_ptr<const mask::Masker> masker) {
  roles_.store(std::make_shared<const Roles>(RolesOf(root)));
  strong_.store(std::make_shared<const Strong>(StrongOf(root)));
  masker_.store(std::move(masker));
  api_->SetOrigins(root.server.allowed_hosts, root.server.allowed_origins);
  if (databases_ != nullptr) databases_->EndWithoutRules();
  frontend_->EndWithoutRules();
}

void People::Stop() {
  stopped_ = true;
  if (transmitters_) transmitters_->Stop();
  if (api_) api_->Stop();
}

void People::Record(op::EventType type, const op::AccessEvidence& about,
                    const std::string& resource) {
  op::Evidence evidence;
  evidence.type = type;
  evidence.resource = resource;
  evidence.access = &about;
  if (const auto recorded = gate_.Record(std::move(evidence)); !recorded)
    obs::Log(obs::Level::error, "access.not_recorded", {{"event", op::EventName(type)}});
}

void People::OnLock(const access::Live& live, bool locked) {
  op::AccessEvidence about;
  about.session = live.id;
  about.kind = live.kind;
  about.whom = &live.who;
  Record(locked ? op::EventType::session_locked : op::EventType::session_unlocked, about);
  if (!locked || frontend_ == nullptr) return;
  const Error why(Errc::session_locked,
                  "the session was idle for too long; unlock it at " + live.unlock_url);
  const auto meant = [id = live.id](const op::Principal& who) { return who.session == id; };
  frontend_->EndStreamsFor(meant, why);
  if (databases_ != nullptr) databases_->Kill(meant, why);
}

/// Nothing of it waits: the front-ends post the end to the shards of what they hold.
void People::OnEnd(const access::Ended& ended) {
  if (frontend_ == nullptr || stopped_) return;
  const Error why(ended.reason,
                  "your access was ended" + (ended.why.empty() ? "" : ": " + ended.why));
  const auto meant = [whom = ended.whom](const op::Principal& who) { return whom.Means(who); };
  const auto cut = std::make_shared<Cut>(ended, shards_.executor(0));
  if (databases_ != nullptr) cut->databases = databases_->Kill(meant, why);
  frontend_->Kill(meant, why, [cut](mcp::Frontend::Killed killed) {
    net::Post(cut->executor, [cut, killed] {
      cut->killed = killed;
      cut->streams_ended.Set();
    });
  });
  if (desk_ != nullptr && ended.whom.session.empty() && !ended.whom.subject.empty() &&
      ended.whom.left_groups.empty())
    cut->approvals = desk_->EndOf(ended.whom.issuer, ended.whom.subject, ended.why);
  net::Spawn(cut->executor, Finish(*this, cut));
}

/// Waits until the last one is gone, and says how long that took.
boost::asio::awaitable<void> People::Finish(People& people, std::shared_ptr<Cut> cut) {
  const access::Ended& ended = cut->ended;
  (void)co_await cut->streams_ended.Wait(kCutWithin);
  const auto meant = [&](const op::Principal& who) { return ended.whom.Means(who); };
  const auto until = std::chrono::steady_clock::now() + kCutWithin;
  while (people.databases_ != nullptr && people.databases_->Holding(meant) > 0 &&
         std::chrono::steady_clock::now() < until) {
    if (!co_await net::Sleep(kLook)) co_return;
  }
  const Nanos now = SystemClock().SteadyNow().time_since_epoch() / std::chrono::nanoseconds(1);
  KillSeconds(ended.source).Observe(double(now - ended.asked_at) / 1e9);
  op::Principal whom;
  whom.issuer = ended.whom.issuer;
  whom.subject = ended.whom.subject;
  whom.sid = ended.whom.sid;
  op::AccessEvidence about;
  about.session = ended.whom.session;
  about.whom = ended.session ? &ended.session->who : &whom;
  if (ended.session) about.kind = ended.session->kind;
  about.by = ended.by;
  std::vector<op::MaskCount> counts;
  about.why = mask::Seal::Text(*people.masker_.load(), ended.why, kWords, counts).text;
  about.sessions = ended.sessions;
  about.postgres = cut->databases;
  about.mcp = cut->killed.sessions + cut->killed.streams + cut->killed.calls;
  about.approvals = cut->approvals;
  people.Record(op::EventType::session_killed, about);
}

}  // namespace sallyport::app
