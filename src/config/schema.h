#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "credential/config.h"
#include "credential/user_oauth_config.h"
#include "export/config.h"
#include "identity/config.h"
#include "identity/signal_config.h"
#include "mask/masker.h"
#include "net/http.h"
#include "oauth/config.h"
#include "op/decision.h"
#include "policy/rules.h"
#include "policy/unmask.h"
#include "review/config.h"
#include "secrets/source.h"
#include "witness/config.h"

// The configuration as plain structs: this file is the reference of every key, its default and its
// unit. config/load.cc reads YAML into it; app/wiring.cc unpacks it, so that a module gets its own
// section only.

namespace sallyport::config {

using std::chrono::milliseconds;

struct Tls {
  std::filesystem::path cert;
  secrets::Ref key;
  std::string min_version = "1.2";
  std::filesystem::path client_ca;  // authorities of client certificates; empty: none is asked for
  std::filesystem::path postgres_client_ca;  // the same, of the PostgreSQL listener
};

/// server.limits.postgres
struct PostgresLimits {
  uint32_t connections = 10'000;         // open client connections
  uint32_t sessions_per_caller = 100;    // sessions of one principal, over all databases
  milliseconds login_deadline{10'000};   // from the first byte to the first query, TLS included
  uint64_t statement_bytes = 256 << 10;  // of one text; what is longer is refused unread
  uint64_t message_bytes =
      64u << 20;  // of a message that has to be held whole (Query, Parse, Bind)
};

/// server.limits: every bound of the data path (I8).
struct ServerLimits {
  net::HttpLimits http;  // header, body, time and connection bounds
  uint32_t json_depth = 64;
  uint32_t streams_per_caller =
      32;  // concurrent requests of one principal that are answered as a stream
  uint32_t sessions_per_caller = 64;   // legacy MCP sessions of one principal at one connection
  uint32_t calls_per_caller = 256;     // concurrent calls of one principal
  uint32_t approvals_per_caller = 20;  // open requests for approval of one account
  uint32_t approvals_per_hour = 300;   // new ones of one account
  uint64_t upstream_body_bytes = 32u << 20;  // one upstream message (JSON body or SSE event)
  milliseconds call_timeout{300'000};        // one upstream call, progress does not extend it
  milliseconds approval_hold{50'000};        // an MCP call waits so long for its approval at once
  milliseconds upstream_idle_timeout{120'000};  // no byte from the upstream for so long
  milliseconds session_idle{3'600'000};         // a legacy MCP session nobody uses
  uint32_t replay_events = 256;                 // kept per legacy stream for Last-Event-ID
  PostgresLimits postgres;
};

struct Server {
  std::string public_url;
  std::string https, http, postgres, ops;  // listen addresses; `http` (plain) only on loopback
  std::optional<Tls> tls;
  std::filesystem::path data_dir;
  std::vector<std::string> allowed_origins;  // beside public_url's own
  std::vector<std::string> allowed_hosts;    // beside public_url's own
  ServerLimits limits;
  uint32_t shards = 0;  // 0: one per core
  milliseconds drain_timeout{30'000};
};

/// How the gate proves itself to an upstream.
struct UpstreamAuth {
  enum class Kind {
    none,
    bearer,
    header,
    sigv4,
    oauth,
    gate_jwt,
    exchange,
    snowflake_pat,
    snowflake_external_oauth,
    user_oauth
  } kind = Kind::none;
  std::string header;   // for Kind::header
  secrets::Ref secret;  // for Kind::bearer, Kind::header and Kind::snowflake_pat
  credential::SigV4 sigv4;
  credential::OAuth oauth;
  credential::GateJwt gate_jwt;
  credential::Exchange exchange;
  credential::SnowflakeOAuth snowflake;
  credential::UserOAuth user_oauth;
  bool operator==(const UpstreamAuth&) const = default;
};

struct McpHttp {
  std::string url;
  UpstreamAuth auth;
  std::filesystem::path ca;
  bool operator==(const McpHttp&) const = default;
};

struct McpStdio {
  std::vector<std::string> command;
  std::map<std::string, secrets::Ref> env;
  uint64_t memory_limit = 0;
  bool operator==(const McpStdio&) const = default;
};

struct SqlArgument {
  std::string tool;     // glob
  std::string path;     // JSON path, "$.sql"
  std::string dialect;  // "postgresql"
  bool operator==(const SqlArgument&) const = default;
};

/// What becomes of content that cannot be looked into, by MIME type.
enum class OpaqueAction { refuse, strip, pass };
struct ContentRule {
  std::string type;  // glob over the MIME type, "image/*"
  OpaqueAction action = OpaqueAction::refuse;
  bool operator==(const ContentRule&) const = default;
};

enum class PinTools { off, review, deny };

struct Mcp {
  std::variant<McpHttp, McpStdio> upstream;
  PinTools pin_tools = PinTools::off;
  std::vector<SqlArgument> sql_arguments;
  std::vector<std::string>
      read_only;  // tools (globs) that the operator has classified as reading only
  std::vector<ContentRule> content;  // first match; default: refuse in scope cde, else pass
  bool server_requests = true;  // the upstream may ask the client (sampling, elicitation, roots)
  bool operator==(const Mcp&) const = default;
};

/// connections[].postgres.reconcile: the server's own list of sessions against the gate's.
struct Reconcile {
  milliseconds every{0};  // 0: nobody looks
  std::string user;       // empty: as `credentials` say
  std::optional<secrets::Ref> password;
  std::vector<std::string> expected;  // addresses and CIDRs whose sessions are no findings
  bool operator==(const Reconcile&) const = default;
};

/// connections[].postgres
struct Postgres {
  std::string host;  // a name, an address, or a directory of Unix sockets
  uint16_t port = 5432;
  std::string database;
  std::string sslmode =
      "verify-full";  // disable (loopback and sockets) | require | verify-ca | verify-full
  std::filesystem::path ca, client_cert;
  std::optional<secrets::Ref> client_key;
  milliseconds connect_timeout{5'000};
  // credentials: the login of all sessions, or the administrator's who makes a role for each
  bool jit_role = false;
  milliseconds jit_ttl{900'000};
  std::string user;
  std::optional<secrets::Ref> password;
  std::optional<credential::RdsIam> rds_iam;                // instead of a password
  std::optional<credential::VaultDatabase> vault_database;  // instead of both, one for each session
  bool source_only = false;                                 // masking: source | lineage (default)
  milliseconds catalog_refresh{60'000};
  Reconcile reconcile;
  bool operator==(const Postgres&) const = default;
};

struct Connection {
  std::string name;
  std::map<std::string, std::string> labels;
  std::optional<Mcp> mcp;  // exactly one of mcp and postgres
  std::optional<Postgres> postgres;
  bool operator==(const Connection&) const = default;
};

/// masking.columns[]: a column whose values are what `detector` says, whatever they look like.
struct ClassifiedColumn {
  std::string connection, column, detector;  // column: globs over schema.table.column
};

/// masking.pan_map: what becomes of columns of databases in which card numbers are found.
struct PanMap {
  uint64_t report_at = 3;  // values
  bool classify = false;

  bool operator==(const PanMap&) const = default;
};

struct Masking {
  std::vector<mask::DetectorSpec> detectors;
  std::vector<ClassifiedColumn> columns;
  std::vector<policy::UnmaskGrant> unmask;
  PanMap pan_map;
  std::optional<secrets::Ref> token_key;  // default: made in data_dir at first start
};

struct Evidence {
  std::string origin;
  bool strict = false;                      // durability: group | strict
  std::optional<secrets::Ref> signing_key;  // default: made in data_dir at first start
  uint64_t payload_bytes = 16 << 10;  // recorded per message; what is beyond is a declared cut
  witness::Config witnessing;         // without peers: nobody is asked
};

/// approvals[].notify[].webhook: who is told that something waits.
struct ApprovalWebhook {
  secrets::Ref url;
  std::optional<secrets::Ref> key;  // of the HMAC-SHA256 signature
  bool slack = false;               // format: json | slack
  std::vector<std::string> allow_addresses;
  bool allow_loopback_http = false;
  std::filesystem::path ca;
  bool operator==(const ApprovalWebhook&) const = default;
};

struct Approval {
  std::string name;
  std::vector<std::string> approvers;
  uint32_t need = 1;
  bool reason_required = false;
  milliseconds ttl{900'000};
  std::vector<ApprovalWebhook> notify;
  bool operator==(const Approval&) const = default;
};

/// identity.persons[]: accounts of one person, so that nobody approves under another name.
struct Person {
  struct Account {
    std::string provider, subject;
  };
  std::string name;
  std::vector<Account> accounts;
};

/// identity.providers[].oidc where people can sign in: client_id is set.
struct Login {
  std::string provider;                // identity::ProviderConfig::name
  std::optional<secrets::Ref> secret;  // none: a public client
  std::vector<std::string> scopes;     // empty: openid profile email
};

/// identity.providers[].saml: people sign in by SAML 2.0.
struct SamlProvider {
  std::string name;
  secrets::Ref metadata;     // of the identity provider; XML
  std::string user;          // attribute with the readable name; empty: the NameID
  std::string groups;        // attribute with the groups; empty: none
  std::string group_prefix;  // identity::ProviderConfig
};

/// identity.mfa
struct Mfa {
  std::vector<std::string> require_for;  // roles of identity.roles
  std::vector<std::string> accept;       // values of amr and acr
  std::vector<std::string> acr_values;   // that a login asks for
};

/// integrity: whether the program and its files are those that were started.
struct Integrity {
  milliseconds every{3'600'000};
  std::vector<std::filesystem::path> files;  // beside the program and what the configuration names
  bool operator==(const Integrity&) const = default;
};

struct Root {
  std::filesystem::path file;  // where it was read from; relative paths start there
  Server server;
  std::vector<identity::ProviderConfig> providers;
  std::vector<identity::AgentConfig> agents;
  std::vector<Login> logins;
  std::vector<SamlProvider> saml;
  std::vector<identity::SignalConfig> signals;  // one for each OIDC provider, in their order
  std::map<std::string, std::vector<std::string>> roles;
  Mfa mfa;
  std::vector<Person> persons;
  oauth::Config oauth_server;
  std::vector<Connection> connections;
  Masking masking;
  std::vector<Approval> approvals;
  policy::RuleSetSpec policies;
  Evidence evidence;
  review::Config review;
  Integrity integrity;
  std::optional<credential::Vault> vault;
  std::optional<credential::AwsSecrets> aws_secrets;
  std::vector<exporting::Config> exports;
  std::optional<credential::Pkcs11Config> issuer_pkcs11;  // none: files in data_dir
  milliseconds session_max{4 * 3'600'000};
  milliseconds session_idle{15 * 60'000};
  std::vector<std::string> notes;  // keys that are understood but not acted on yet, for `validate`
};

}  // namespace sallyport::config
