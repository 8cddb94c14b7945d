#include "app/gateway.h"

#include <algorithm>
#include <atomic>
#include <sys/resource.h>
#include <thread>

#include "app/approvals.h"
#include "app/control_failures.h"
#include "app/databases.h"
#include "app/exports.h"
#include "app/heartbeat.h"
#include "app/keys.h"
#include "app/ops.h"
#include "app/people.h"
#include "app/policy_versions.h"
#include "app/read_spool.h"
#include "app/recordings.h"
#include "app/rounds.h"
#include "app/secret_stores.h"
#include "app/upstream_issuer.h"
#include "app/upstreams.h"
#include "app/witnesses.h"
#include "config/load.h"
#include "gate/gate.h"
#include "identity/verifier.h"
#include "ledger/writer.h"
#include "mask/masker.h"
#include "mcp/frontend.h"
#include "net/event.h"
#include "net/fetch.h"
#include "net/http_client.h"
#include "net/http_server.h"
#include "net/shards.h"
#include "obs/log.h"
#include "obs/metrics.h"
#include "policy/rules.h"
#include "secrets/source.h"

namespace sallyport::app {
namespace {
namespace fs = std::filesystem;

using std::chrono::milliseconds;

/// After the grace: for telling who is cut, and cancelling what they run on a server.
constexpr milliseconds kLastWords{2'000};

Result<std::shared_ptr<const mask::Masker>> MakeMasker(const config::Root& root,
                                                       const Secret& token_key) {
  return mask::Masker::Make(root.masking.detectors, token_key);
}

/// The secret of `ref`, or the one kept in the data directory.
Result<Secret> SecretOr(const std::optional<secrets::Ref>& ref, const fs::path& kept,
                        Result<Secret> (*make)(const fs::path&)) {
  return ref ? secrets::Resolve(*ref) : make(kept);
}

/// Everything that a line of the operational log may hold is masked too (I2).
void MaskLogLines(std::shared_ptr<const mask::Masker> masker) {
  obs::SetLineFilter([masker = std::move(masker)](std::string& line) {
    std::string masked;
    mask::Tally tally;
    if (masker->MaskText(line, {}, masked, tally)) line = std::move(masked);
  });
}

}  // namespace

/// Members are destroyed in reverse: first what serves, then what it serves with, the ledger last.
struct Gateway::Impl {
  config::Root root;
  std::unique_ptr<SecretStores> stores;  // what holds secrets, until nobody needs one
  Secret token_key;
  std::unique_ptr<Recordings> recordings;
  std::unique_ptr<ledger::Ledger> ledger;
  std::unique_ptr<Approvals> approvals;
  std::unique_ptr<gate::Gate> gate;
  std::unique_ptr<witness::Cosigning> cosigning;  // null: no witnesses
  std::unique_ptr<ControlFailures> failures;
  std::unique_ptr<Heartbeat> heartbeat;
  std::unique_ptr<Exports> exports;
  std::shared_ptr<const mask::Masker> masker;
  std::unique_ptr<net::Shards> shards;
  std::unique_ptr<People> people;
  std::unique_ptr<identity::TokenVerifier> verifier;
  std::unique_ptr<UpstreamIssuer> upstream_issuer;
  std::unique_ptr<mcp::Frontend> frontend;
  std::vector<api::UpstreamLink> upstream_links;
  DatabaseCredentials database_credentials;
  std::unique_ptr<pg::Frontend> databases;  // null: no listener for PostgreSQL
  std::unique_ptr<Rounds> rounds;
  /// Two, because they ask for other certificates: a driver shows whatever it finds at home.
  std::shared_ptr<net::TlsServer> tls, database_tls;
  std::vector<std::unique_ptr<net::HttpServer>> listeners;
  std::unique_ptr<net::HttpServer> ops;
  std::atomic<bool> stopped = false;

  Result<> OpenLedger();
  Result<> BuildPath();
  Result<> BuildIdentity();
  Result<> BuildFrontend();
  Result<> BuildDatabases();
  Result<> Listen();
  Result<> RecordStart();
  void DeclareMetrics();
  std::vector<ReadyCheck> Checks() const;
  void LookAtControls();
  Result<> Apply(config::Root fresh);
  void SweepRoles();
  void WaitForRoles() const;
};

Result<> Gateway::Impl::OpenLedger() {
  const fs::path& dir = root.server.data_dir;
  std::error_code error;
  fs::create_directories(dir, error);
  if (error)
    return Fail(Errc::io_failed, "cannot make data_dir " + dir.string() + ": " + error.message());
  fs::permissions(dir, fs::perms::owner_all, error);
  fs::create_directory(dir / "reads", error);
  fs::create_directory(dir / "state", error);
  ledger::Options options;
  options.data_dir = dir;
  options.origin = root.evidence.origin;
  options.durability =
      root.evidence.strict ? ledger::Durability::strict : ledger::Durability::group;
  SALLYPORT_TRY(options.signing_key,
                SecretOr(root.evidence.signing_key, dir / "state/log-ed25519.key", SigningKeyFile));
  SALLYPORT_TRY(recordings, Recordings::Open(root));
  options.payloads = recordings->payloads();
  SALLYPORT_TRY(ledger, ledger::Ledger::Open(std::move(options)));
  return {};
}

Result<> Gateway::Impl::BuildPath() {
  SALLYPORT_TRY(auto rules, policy::RuleSet::Compile(root.policies));
  SALLYPORT_TRY(token_key, SecretOr(root.masking.token_key,
                                    root.server.data_dir / "state/token.key", KeyFile));
  SALLYPORT_TRY(masker, MakeMasker(root, token_key));
  SALLYPORT_TRY(approvals, Approvals::Open(root, *ledger, masker));
  gate = std::make_unique<gate::Gate>(*ledger, rules,
                                      gate::Gate::Options{.always_strict = root.evidence.strict,
                                                          .desk = &approvals->desk(),
                                                          .uses = &approvals->uses(),
                                                          .public_url = root.server.public_url});
  recordings->Start(*gate);
  gate->SetUnmask(root.masking.unmask);
  MaskLogLines(masker);
  const size_t count = root.server.shards != 0 ? root.server.shards
                                               : std::max(1u, std::thread::hardware_concurrency());
  shards = std::make_unique<net::Shards>(count);
  people = std::make_unique<People>(root, approvals->state(), *gate, *shards, masker);
  return {};
}

Result<> Gateway::Impl::BuildIdentity() {
  identity::TokenVerifier::Options options;
  options.sessions = &people->sessions();
  options.observe = [](const identity::IssuerEvent& event) {
    if (event.outcome) {
      obs::Log(obs::Level::info, "identity.keys_fetched",
               {{"provider", event.provider}, {"keys", event.keys}});
    } else {
      obs::Log(obs::Level::warn, "identity.keys_not_fetched",
               {{"provider", event.provider}, {"detail", event.outcome.error().detail}});
    }
  };
  SALLYPORT_TRY(verifier,
                identity::TokenVerifier::Create({root.providers, root.agents}, net::FetchUrl,
                                                SystemClock(), std::move(options)));
  return {};
}

mcp::FrontendSettings SettingsOf(const config::Root& root,
                                 std::shared_ptr<const mask::Masker> masker) {
  return {.masker = std::move(masker),
          .limits = root.server.limits,
          .allowed_origins = root.server.allowed_origins,
          .allowed_hosts = root.server.allowed_hosts};
}

Result<std::shared_ptr<net::TlsServer>> MakeTls(const config::Tls& tls,
                                                const std::filesystem::path& client_ca) {
  return net::TlsServer::Make({.certificate_file = tls.cert,
                               .key_file = tls.key.name,
                               .min_version = tls.min_version,
                               .client_ca_file = client_ca});
}

Result<> Gateway::Impl::BuildFrontend() {
  mcp::FrontendOptions options{.gate = *gate,
                               .shards = *shards,
                               .verifier = *verifier,
                               .clock = SystemClock(),
                               .public_url = root.server.public_url,
                               .issuers = {},
                               .scopes = {},
                               .state_dir = root.server.data_dir / "state",
                               .record_bytes = recordings->bytes(),
                               .connections = {},
                               .settings = SettingsOf(root, masker)};
  // Clients take the first.
  const oauth::Config& server = root.oauth_server;
  if (server.enabled) {
    options.issuers.push_back(OriginOf(root));
    options.scopes = {"mcp:read", "mcp:write"};
  }
  for (const identity::ProviderConfig& provider : root.providers) {
    if (!server.enabled || server.list_providers) options.issuers.push_back(provider.issuer);
    options.advertise_dpop |= provider.dpop != identity::Dpop::taken;
  }
  SALLYPORT_TRY(upstream_issuer, UpstreamIssuer::Open(root));
  SALLYPORT_CHECK(KeepOnlyAccounts(root, approvals->state()));
  const Accounts accounts{.state = approvals->state(),
                          .gate = *gate,
                          .masker = masker,
                          .public_url = OriginOf(root),
                          .state_dir = root.server.data_dir / "state"};
  for (const config::Connection& connection : root.connections) {
    if (!connection.mcp) continue;
    SALLYPORT_TRY(auto made, MakeConnection(connection, root.server.limits,
                                            upstream_issuer->issuer(), accounts));
    if (auto oauth = std::dynamic_pointer_cast<credential::UserOauth>(made.credential))
      upstream_links.push_back({std::move(oauth), connection.labels});
    options.connections.push_back(std::move(made));
  }
  SALLYPORT_TRY(frontend, mcp::Frontend::Make(std::move(options)));
  return {};
}

Result<> Gateway::Impl::BuildDatabases() {
  if (root.server.postgres.empty()) return {};
  SALLYPORT_TRY(auto connections, MakeDatabases(root, *stores));
  for (const pg::FrontendConnection& connection : connections)
    database_credentials.emplace_back(connection.name, connection.credentials);
  const std::string issuer = root.providers.empty() ? "" : root.providers.front().issuer;
  pg::FrontendOptions options{
      .gate = *gate,
      .shards = *shards,
      .verifier = *verifier,
      .clock = SystemClock(),
      .address = root.server.postgres,
      .tls = database_tls,
      .public_url = root.server.public_url,
      .issuer_metadata = issuer.empty() ? "" : issuer + "/.well-known/openid-configuration",
      .masker = masker,
      .record_bytes = recordings->bytes(),
      .connections = std::move(connections),
      .limits = DatabaseLimits(root),
      .sees_all = SeesAll(root),
      .version = SALLYPORT_VERSION};
  SALLYPORT_TRY(databases, pg::Frontend::Make(std::move(options)));
  return {};
}

/// Roles that an earlier process left behind.
void Gateway::Impl::SweepRoles() {
  for (const auto& [connection, credentials] : database_credentials)
    net::Spawn(shards->executor(0), credentials->Sweep());
}

/// The roles of sessions that have just ended are still being dropped.
void Gateway::Impl::WaitForRoles() const {
  for (const auto& [connection, credentials] : database_credentials) credentials->Close();
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(5);
  const auto left = [this] {
    return std::ranges::any_of(database_credentials,
                               [](const auto& c) { return c.second->leases() > 0; });
  };
  while (left() && std::chrono::steady_clock::now() < end)
    std::this_thread::sleep_for(milliseconds(10));
}

Result<> Gateway::Impl::Listen() {
  SALLYPORT_CHECK(people->Build(root, *verifier, *frontend, databases.get(), *approvals,
                                upstream_issuer->keys(), upstream_links, rounds->reviews()));
  const auto handler = [f = frontend.get(), a = &people->api()](net::HttpExchange& exchange) {
    return api::Api::Takes(exchange.request().path()) ? a->Handle(exchange) : f->Handle(exchange);
  };
  const auto refused = [this](const std::string& address, int, Errc reason,
                              std::string_view detail) {
    op::Evidence evidence;
    evidence.type = op::EventType::request_refused;
    evidence.address = address;
    evidence.reason = reason;
    evidence.detail = detail;
    (void)gate->Record(std::move(evidence));
  };
  for (const auto& [address, secure] :
       {std::pair(root.server.https, true), std::pair(root.server.http, false)}) {
    if (address.empty()) continue;
    net::HttpServer::Options options;
    options.address = address;
    options.limits = root.server.limits.http;
    options.handler = handler;
    options.on_refused = refused;
    if (secure) options.tls = tls;
    SALLYPORT_TRY(auto listener, net::HttpServer::Listen(*shards, std::move(options)));
    listeners.push_back(std::move(listener));
  }
  if (!root.server.ops.empty()) {
    SALLYPORT_TRY(ops, ListenOps(*shards, root.server.ops, [this] { return Checks(); }));
  }
  return {};
}

Result<> Gateway::Impl::RecordStart() {
  if (ledger->recovery().created) {
    op::Evidence evidence;
    evidence.type = op::EventType::log_init;
    evidence.detail = "origin " + ledger->origin();
    SALLYPORT_CHECK(gate->Record(std::move(evidence)));
  }
  if (ledger->recovery().dropped_bytes > 0) {
    op::Evidence evidence;
    evidence.type = op::EventType::log_recovered;
    evidence.count = ledger->recovery().dropped_bytes;
    evidence.detail = "bytes of a torn tail dropped at start";
    SALLYPORT_CHECK(gate->Record(std::move(evidence)));
  }
  op::Evidence evidence;
  evidence.type = op::EventType::log_start;
  evidence.policy_version = gate->rules()->version();
  evidence.detail = "sallyport " SALLYPORT_VERSION ", durability " +
                    std::string(root.evidence.strict ? "strict" : "group");
  SALLYPORT_CHECK(gate->Record(std::move(evidence)));
  SALLYPORT_CHECK(gate->Replace(gate->rules()));  // records which configuration is in force
  return AdoptPolicy(root, *masker, *gate);
}

std::vector<ReadyCheck> Gateway::Impl::Checks() const {
  std::vector<ReadyCheck> checks;
  checks.push_back(
      {"evidence log", gate->healthy(), gate->healthy() ? "" : ledger->stats().failure});
  recordings->AddChecks(checks);
  for (const identity::IssuerStatus& issuer : verifier->Status()) {
    const bool usable = issuer.state == identity::IssuerStatus::State::ready ||
                        issuer.state == identity::IssuerStatus::State::stale;
    checks.push_back({"identity provider " + issuer.provider, usable, issuer.last_error});
  }
  checks.push_back({"state", approvals->state().healthy(), approvals->state().failure()});
  if (cosigning) {
    const auto status = cosigning->status();
    const bool refuse = root.evidence.witnessing.refuse;
    const bool ok = status.met && (status.first || !refuse);
    checks.push_back(
        {"witnesses", ok, ok || !status.met ? status.why : "no quorum has cosigned yet", !refuse});
  }
  for (ReadyCheck& check : exports->Checks()) checks.push_back(std::move(check));
  for (ReadyCheck& check : rounds->Checks()) checks.push_back(std::move(check));
  checks.push_back({"accepting", !stopped, stopped ? "draining" : ""});
  return checks;
}

/// What fails is recorded; what must not fail beside the ledger stops service.
void Gateway::Impl::LookAtControls() {
  std::vector<ReadyCheck> checks = Checks();
  std::erase_if(checks, [](const ReadyCheck& check) { return check.name == "accepting"; });
  failures->Look(checks);
  gate->Suspend(WhyServiceStops(checks));
}

void Gateway::Impl::DeclareMetrics() {
  obs::Registry& m = obs::Metrics();
  m.Observe("sallyport_ledger_entries", "Entries in the evidence log",
            [this] { return double(ledger->stats().size); });
  m.Observe("sallyport_ledger_unpublished", "Entries that no published checkpoint covers yet",
            [this] { return double(ledger->stats().queued); });
  m.Observe("sallyport_ledger_unavailable",
            "1 when the evidence log has failed and service has stopped",
            [this] { return gate->healthy() ? 0.0 : 1.0; });
  m.Observe("sallyport_ledger_commit_p50_seconds", "Median of the latest commits",
            [this] { return double(ledger->stats().commit_p50_us) / 1e6; });
  m.Observe("sallyport_ledger_commit_p99_seconds", "99th percentile of the latest commits",
            [this] { return double(ledger->stats().commit_p99_us) / 1e6; });
  m.Observe("sallyport_http_connections", "Open client connections", [this] {
    size_t n = 0;
    for (const auto& listener : listeners) n += listener->connections();
    return double(n);
  });
  m.Observe("sallyport_http_active", "Requests in progress", [this] {
    size_t n = 0;
    for (const auto& listener : listeners) n += listener->active();
    return double(n);
  });
  m.Observe("sallyport_mcp_sessions", "MCP sessions of the session eras",
            [this] { return double(frontend->stats().sessions); });
  m.Observe("sallyport_mcp_parked", "Calls that wait for an answer of their client",
            [this] { return double(frontend->stats().parked); });
  if (databases) DeclareDatabaseMetrics(*databases, database_credentials);
  m.Observe("sallyport_approvals_pending", "Requests that wait for a decision",
            [this] { return double(approvals->desk().counts().pending); });
  m.Observe("sallyport_approvals_approved", "Approvals that are not used yet",
            [this] { return double(approvals->desk().counts().approved); });
  m.Observe("sallyport_state_unavailable",
            "1 while the embedded state cannot be written: approvals and sessions are refused",
            [this] { return approvals->state().healthy() ? 0.0 : 1.0; });
  exports->DeclareMetrics();
  m.Observe("sallyport_policy_rules", "Rules in force",
            [this] { return double(gate->rules()->size()); });
  m.Observe("sallyport_log_lines_dropped_total", "Operational log lines that could not be written",
            [] { return double(obs::LinesDropped()); });
}

Result<std::unique_ptr<Gateway>> Gateway::Start(config::Root root) {
  auto impl = std::make_unique<Impl>();
  impl->root = std::move(root);
  impl->stores = std::make_unique<SecretStores>(impl->root);
  if (impl->root.server.tls) {
    SALLYPORT_TRY(impl->tls, MakeTls(*impl->root.server.tls, impl->root.server.tls->client_ca));
    SALLYPORT_TRY(impl->database_tls,
                  MakeTls(*impl->root.server.tls, impl->root.server.tls->postgres_client_ca));
  }
  SALLYPORT_CHECK(impl->OpenLedger());
  SALLYPORT_CHECK(impl->BuildPath());
  SALLYPORT_CHECK(impl->RecordStart());
  SALLYPORT_TRY(impl->cosigning, StartCosigning(impl->root, *impl->ledger));
  const auto record = [gate = impl->gate.get()](op::Evidence e) {
    return gate->Record(std::move(e));
  };
  impl->failures = std::make_unique<ControlFailures>(record);
  impl->heartbeat = std::make_unique<Heartbeat>(record);
  if (impl->cosigning && impl->root.evidence.witnessing.refuse)
    impl->gate->Suspend("the evidence log is not witnessed: no quorum has cosigned yet");
  SALLYPORT_CHECK(impl->BuildIdentity());
  SALLYPORT_CHECK(impl->BuildFrontend());
  SALLYPORT_CHECK(impl->BuildDatabases());
  SALLYPORT_TRY(impl->rounds, Rounds::Make(impl->root, *impl->stores, impl->database_credentials,
                                           *impl->gate, impl->masker));
  SALLYPORT_CHECK(impl->approvals->StartWebhooks(impl->root));
  const fs::path& dir = impl->root.server.data_dir;
  impl->exports = std::make_unique<Exports>(impl->root.exports, dir, *impl->ledger);
  SALLYPORT_CHECK(impl->Listen());
  SALLYPORT_CHECK(impl->recordings->StartKeeping(*impl->ledger, impl->masker));
  impl->DeclareMetrics();
  impl->verifier->Start();
  impl->shards->Start();
  impl->people->Start();
  impl->SweepRoles();
  impl->rounds->Start(*impl->shards);
  for (const std::string& note : impl->root.notes)
    obs::Log(obs::Level::warn, "config.note", {{"note", note}});
  obs::Log(obs::Level::info, "gateway.started",
           {{"public_url", impl->root.server.public_url},
            {"rules", impl->gate->rules()->size()},
            {"origin", impl->ledger->origin()},
            {"vkey", impl->ledger->vkey()}});
  return std::unique_ptr<Gateway>(new Gateway(std::move(impl)));
}

Gateway::Gateway(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Gateway::~Gateway() { Stop(milliseconds(0)); }

void Gateway::Tick() {
  impl_->heartbeat->Tick();
  TakeReadings(impl_->root.server.data_dir, *impl_->masker, *impl_->gate);
  impl_->frontend->Tick();
  impl_->upstream_issuer->Tick();
  impl_->approvals->desk().Tick();
  impl_->LookAtControls();
  if (impl_->databases) impl_->databases->Tick();
}

Result<> Gateway::Impl::Apply(config::Root fresh) {
  const auto& a = root.server;
  const auto& b = fresh.server;
  if (a.https != b.https || a.http != b.http || a.ops != b.ops || a.data_dir != b.data_dir ||
      a.postgres != b.postgres || a.shards != b.shards ||
      root.evidence.origin != fresh.evidence.origin || a.public_url != b.public_url) {
    return Fail(Errc::config_invalid,
                "listeners, public_url, data_dir, shards and origin change at a restart only");
  }
  if (root.connections != fresh.connections || root.providers != fresh.providers ||
      root.agents != fresh.agents || root.signals != fresh.signals) {
    return Fail(Errc::config_invalid, "connections and identity change at a restart only");
  }
  if (root.exports != fresh.exports)
    return Fail(Errc::config_invalid, "exports change at a restart only");
  if (root.vault != fresh.vault || root.aws_secrets != fresh.aws_secrets)
    return Fail(Errc::config_invalid, "vault and aws_secrets change at a restart only");
  if (root.evidence.witnessing != fresh.evidence.witnessing)
    return Fail(Errc::config_invalid, "evidence.witnesses change at a restart only");
  SALLYPORT_CHECK(recordings->CheckSame(fresh));
  if (root.issuer_pkcs11 != fresh.issuer_pkcs11)
    return Fail(Errc::config_invalid, "issuer_keys changes at a restart only");
  if (!SameColumns(root, fresh))
    return Fail(Errc::config_invalid, "masking.columns and pan_map change at a restart only");
  SALLYPORT_TRY(auto rules, policy::RuleSet::Compile(fresh.policies));
  SALLYPORT_TRY(auto fresh_masker, MakeMasker(fresh, token_key));
  if (tls) SALLYPORT_CHECK(tls->Reload());
  if (database_tls) SALLYPORT_CHECK(database_tls->Reload());
  SALLYPORT_CHECK(gate->Replace(std::move(rules)));
  SALLYPORT_CHECK(AdoptPolicy(fresh, *fresh_masker, *gate));
  gate->SetUnmask(fresh.masking.unmask);
  SALLYPORT_CHECK(approvals->Reload(fresh, fresh_masker));
  frontend->Reload(SettingsOf(fresh, fresh_masker));
  if (databases) databases->Reload(fresh_masker, DatabaseLimits(fresh));
  people->Reload(fresh, fresh_masker);
  rounds->Reload(fresh, fresh_masker);
  masker = std::move(fresh_masker);
  MaskLogLines(masker);
  for (const auto& listener : listeners) listener->SetLimits(fresh.server.limits.http);
  root = std::move(fresh);
  return {};
}

Result<> Gateway::Reload() {
  config::LoadResult loaded = config::LoadFile(impl_->root.file, StartOptions());
  Result<> applied =
      Fail(Errc::config_invalid, "see `sallyport validate " + impl_->root.file.string() + "`");
  if (loaded.root) applied = impl_->Apply(std::move(*loaded.root));
  if (!applied) {
    op::Evidence evidence;
    evidence.type = op::EventType::config_refused;
    evidence.reason = applied.error().code;
    evidence.policy_version = impl_->gate->rules()->version();
    evidence.detail = "the configuration in force stays";
    (void)impl_->gate->Record(std::move(evidence));
    obs::Log(obs::Level::error, "config.refused", {{"detail", applied.error().detail}});
    return applied;
  }
  obs::Log(obs::Level::info, "config.loaded",
           {{"policy_version", impl_->gate->rules()->version()}});
  return {};
}

void Gateway::Stop(milliseconds grace) {
  if (impl_->stopped) return;
  impl_->stopped = true;
  for (const auto& listener : impl_->listeners) listener->Drain();
  if (impl_->databases) impl_->databases->Drain();
  impl_->people->api().EndStreams();
  impl_->frontend->EndStreams();  // they would hold the drain until its end
  const auto busy = [this] {
    for (const auto& listener : impl_->listeners) {
      if (listener->active() > 0) return true;
    }
    return impl_->databases && impl_->databases->active() > 0;
  };
  const auto wait = [&busy](milliseconds most) {
    const auto end = std::chrono::steady_clock::now() + most;
    while (busy() && std::chrono::steady_clock::now() < end)
      std::this_thread::sleep_for(milliseconds(10));
  };
  wait(grace);
  impl_->frontend->CloseAll();
  if (impl_->databases) impl_->databases->CloseAll();
  wait(kLastWords);
  impl_->WaitForRoles();
  impl_->verifier->Stop();
  impl_->rounds->Stop();
  TakeReadings(impl_->root.server.data_dir, *impl_->masker, *impl_->gate);
  op::Evidence evidence;
  evidence.type = op::EventType::log_stop;
  evidence.detail = busy() ? "stopped with calls in progress" : "stopped";
  (void)impl_->gate->Record(std::move(evidence));
  obs::Log(obs::Level::info, "gateway.stopped", {{"clean", !busy()}});
  impl_->people->Stop();
  impl_->listeners.clear();
  impl_->ops.reset();
  impl_->shards->Stop();
  impl_->approvals->state().Close();
  impl_->recordings->Stop();
  (void)impl_->ledger->Close();
  if (impl_->cosigning) impl_->cosigning->Finish(kLastWords);
  impl_->exports->Stop(kLastWords);  // log.stop as well
}

bool Gateway::ready() const {
  for (const ReadyCheck& check : impl_->Checks()) {
    if (!check.ok) return false;
  }
  return true;
}
std::string Gateway::vkey() const { return impl_->ledger->vkey(); }
const config::Root& Gateway::root() const { return impl_->root; }

}  // namespace sallyport::app
