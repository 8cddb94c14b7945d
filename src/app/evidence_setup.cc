#include "app/evidence_setup.h"

#include <algorithm>
#include <fstream>
#include <iterator>

#include "app/evidence_certificates.h"
#include "base/bytes.h"
#include "config/load_recording.h"
#include "ledger/tree.h"

namespace sallyport::app {
namespace {

using evidence_pack::Setup;
namespace fs = std::filesystem;

/// Without what stands before an @ or behind a ?: both can hold secrets.
std::string BareUrl(const std::string& url) {
  std::string out = url.substr(0, url.find_first_of("?#"));
  const size_t scheme = out.find("://");
  if (scheme == std::string::npos) return out;
  const size_t path = std::min(out.find('/', scheme + 3), out.size());
  const size_t at = out.rfind('@', path);
  if (at != std::string::npos && at > scheme) out.erase(scheme + 3, at + 1 - (scheme + 3));
  return out;
}

std::string AccountOf(config::UpstreamAuth::Kind kind) {
  using enum config::UpstreamAuth::Kind;
  switch (kind) {
    case none:
      return "nobody: the upstream asks for no credential";
    case bearer:
    case header:
    case snowflake_pat:
      return "one for all: a secret of the gateway";
    case sigv4:
      return "AWS: of the gateway, or of the caller";
    case oauth:
      return "one for all: the gateway as an OAuth client";
    case gate_jwt:
      return "the caller's own: a token that names them";
    case exchange:
    case snowflake_external_oauth:
      return "the caller's own: a token exchanged for theirs";
    case user_oauth:
      return "the caller's own: an account that they have linked";
  }
  return "";
}

void AddMcp(const config::Mcp& mcp, Setup::Connection& to, Setup& setup) {
  to.kind = "mcp";
  if (const auto* http = std::get_if<config::McpHttp>(&mcp.upstream)) {
    to.target = BareUrl(http->url);
    const bool local = to.target.starts_with("http://127.") ||
                       to.target.starts_with("http://[::1]") ||
                       to.target.starts_with("http://localhost");
    to.transport = to.target.starts_with("https://") ? "TLS, certificate verified"
                   : local ? "stays on the machine: plain HTTP on loopback"
                           : "none: plain HTTP";
    to.account = AccountOf(http->auth.kind);
    ReadCertificates("authority of upstream " + to.name, http->ca, setup.certificates);
    if (!http->auth.secret.empty())
      setup.secrets.emplace_back("credential of upstream " + to.name,
                                 secrets::KindName(http->auth.secret.kind));
  } else if (const auto* child = std::get_if<config::McpStdio>(&mcp.upstream)) {
    to.target = child->command.empty() ? "" : child->command.front();
    to.transport = "stays on the machine: a child process";
    to.account = "whom the process is";
    for (const auto& [name, ref] : child->env)
      setup.secrets.emplace_back("variable " + name + " of upstream " + to.name,
                                 secrets::KindName(ref.kind));
  }
}

void AddPostgres(const config::Postgres& pg, Setup::Connection& to, Setup& setup) {
  to.kind = "postgresql";
  to.target = pg.host + ":" + std::to_string(pg.port) + "/" + pg.database;
  const bool socket = pg.host.starts_with('/');
  const bool local =
      socket || pg.host.starts_with("127.") || pg.host == "::1" || pg.host == "localhost";
  to.transport = pg.sslmode != "disable" ? "TLS, " + pg.sslmode
                 : local                 ? "stays on the machine: loopback or a socket"
                                         : "none: plain";
  to.account = pg.jit_role         ? "the caller's own: a role made for each session"
               : pg.vault_database ? "the session's own: made by Vault"
                                   : "one for all: " + pg.user;
  ReadCertificates("authority of database " + to.name, pg.ca, setup.certificates);
  ReadCertificates("the gateway at database " + to.name, pg.client_cert, setup.certificates);
  if (pg.password)
    setup.secrets.emplace_back("password at database " + to.name,
                               secrets::KindName(pg.password->kind));
}

void AddConnections(const config::Root& root, Setup& setup) {
  for (const config::Connection& c : root.connections) {
    Setup::Connection to{.name = c.name, .labels = c.labels};
    if (c.mcp) AddMcp(*c.mcp, to, setup);
    if (c.postgres) AddPostgres(*c.postgres, to, setup);
    setup.connections.push_back(std::move(to));
  }
}

/// What the gateway makes itself lies in `state`; the name says what for.
void AddKeys(const config::Root& root, Setup& setup) {
  const fs::path state = root.server.data_dir / "state";
  const auto place = [&](const std::optional<secrets::Ref>& ref, const char* file) {
    return ref ? "secret of kind " + std::string(secrets::KindName(ref->kind))
               : "file state/" + std::string(file);
  };
  setup.keys.push_back({"log", "signs the heads of the log", "Ed25519",
                        place(root.evidence.signing_key, "log-ed25519.key"), 256, ""});
  setup.keys.push_back({"card tokens", "keyed hashes of card numbers", "HMAC-SHA-256",
                        place(root.masking.token_key, "token.key"), 256, ""});
  setup.keys.push_back({"evidence pack", "signs evidence packs", "ECDSA P-256",
                        "file state/evidence-pack-p256.key", 256, ""});
  if (root.server.tls)
    setup.keys.push_back(
        {"listeners", "TLS", "as the certificate",
         "secret of kind " + std::string(secrets::KindName(root.server.tls->key.kind)), 0, ""});
  if (root.issuer_pkcs11)
    setup.keys.push_back(
        {"issuer", "signs the gateway's tokens", "RSA", "PKCS #11 token", 2048, ""});
  if (const auto recordings = config::RecordingsOf(root); recordings && !recordings->keks.empty()) {
    setup.retention = recordings->limits.retention;
    for (const secrets::Ref& kek : recordings->keks) {
      const bool first = &kek == &recordings->keks.front();
      setup.keys.push_back({first ? "recordings" : "recordings, before",
                            "wraps the keys of days, which wrap those of sessions",
                            "AES-256-GCM, HKDF-SHA-256",
                            "secret of kind " + std::string(secrets::KindName(kek.kind)), 256, ""});
      setup.secrets.emplace_back("key of recordings", secrets::KindName(kek.kind));
    }
  }
  std::vector<std::string> others;
  std::error_code error;
  for (const auto& file : fs::directory_iterator(state, error)) {
    const std::string name = file.path().filename().string();
    if ((name.ends_with(".key") || name.ends_with(".pem")) && name != "log-ed25519.key" &&
        name != "token.key" && name != "evidence-pack-p256.key")
      others.push_back(name);
  }
  std::ranges::sort(others);
  for (const std::string& name : others)
    setup.keys.push_back({name, "made by the gateway", "", "file state/" + name, 0, ""});
}

void AddOthers(const config::Root& root, Setup& setup) {
  for (const identity::AgentConfig& a : root.agents)
    setup.agents.push_back({a.name, a.owner, a.match.provider});
  for (const config::Approval& a : root.approvals)
    setup.flows.push_back({a.name, a.approvers, a.need});
  for (const identity::ProviderConfig& p : root.providers)
    setup.providers.emplace_back(p.name, p.issuer);
  for (const config::SamlProvider& p : root.saml) setup.providers.emplace_back(p.name, "SAML 2.0");
  for (const witness::Peer& w : root.evidence.witnessing.peers)
    setup.witnesses.emplace_back(w.name, w.operated_by.empty() ? "the operator" : w.operated_by);
  for (const config::ClassifiedColumn& c : root.masking.columns)
    setup.classified.emplace_back(c.connection + ":" + c.column, c.detector);
  constexpr const char* kKinds[] = {"file", "syslog", "webhook",        "Splunk HEC",
                                    "OTLP", "Kafka",  "CloudWatch Logs"};
  for (const exporting::Config& e : root.exports)
    setup.exports.emplace_back(e.name,
                               e.to.index() < std::size(kKinds) ? kKinds[e.to.index()] : "other");
}

}  // namespace

Setup EvidenceSetup(const config::Root& root) {
  Setup setup;
  setup.given = true;
  std::ifstream in(root.file, std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(in), {}};
  setup.digest = Base64Encode(ledger::Sha256(text));
  setup.public_url = root.server.public_url;
  for (const auto& [name, address] :
       {std::pair("https", root.server.https), std::pair("http", root.server.http),
        std::pair("postgres", root.server.postgres), std::pair("ops", root.server.ops)}) {
    if (!address.empty()) setup.listeners.emplace_back(name, address);
  }
  if (root.server.tls) {
    setup.tls_minimum = root.server.tls->min_version;
    ReadCertificates("listeners", root.server.tls->cert, setup.certificates);
    ReadCertificates("authority of clients", root.server.tls->client_ca, setup.certificates);
    ReadCertificates("authority of PostgreSQL clients", root.server.tls->postgres_client_ca,
                     setup.certificates);
  }
  setup.policies = root.policies;
  setup.roles = root.roles;
  setup.mfa_roles = root.mfa.require_for;
  setup.unmask = root.masking.unmask;
  setup.detectors = root.masking.detectors;
  setup.session_idle = root.session_idle;
  setup.session_max = root.session_max;
  AddConnections(root, setup);
  AddKeys(root, setup);
  AddOthers(root, setup);
  return setup;
}

}  // namespace sallyport::app
