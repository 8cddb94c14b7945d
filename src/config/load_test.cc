#include "config/load.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <sstream>

#include "json/document.h"

namespace sallyport::config {
namespace {

using namespace std::chrono_literals;

const std::filesystem::path kData = std::filesystem::path(SALLYPORT_TESTDATA) / "config";

std::string Slurp(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  std::stringstream out;
  out << in.rdbuf();
  return out.str();
}

TEST(Load, ContractIsReadWhole) {
  auto result = LoadFile(kData / "contract.yaml");
  ASSERT_TRUE(result.root.has_value()) << RenderText(result.problems);
  const Root& root = *result.root;
  EXPECT_EQ(root.server.public_url, "https://gate.example.com");
  EXPECT_EQ(root.server.https, "0.0.0.0:8443");
  EXPECT_EQ(root.server.ops, "127.0.0.1:9090");
  EXPECT_EQ(root.server.tls->key.name, "/etc/sallyport/tls.key");
  ASSERT_EQ(root.providers.size(), 2u);
  EXPECT_EQ(root.providers[0].audiences, std::vector<std::string>{"https://gate.example.com"});
  EXPECT_EQ(root.providers[1].token_class, identity::TokenClass::ci_workload);
  ASSERT_EQ(root.agents.size(), 1u);
  EXPECT_EQ(root.agents[0].match.client_id, "agent-refunds");
  EXPECT_EQ(root.roles.at("auditor"), std::vector<std::string>{"group:internal-audit"});
  ASSERT_EQ(root.connections.size(), 3u);
  const Mcp& payments = *root.connections[0].mcp;
  EXPECT_EQ(std::get<McpHttp>(payments.upstream).auth.secret.name, "PAYMENTS_MCP_TOKEN");
  EXPECT_EQ(payments.pin_tools, PinTools::review);
  EXPECT_EQ(payments.sql_arguments[0].path, "$.sql");
  EXPECT_EQ(std::get<McpStdio>(root.connections[1].mcp->upstream).command.size(), 2u);
  EXPECT_EQ(root.server.postgres, "0.0.0.0:5433");
  const Postgres& orders = root.connections[2].postgres.value();
  EXPECT_EQ(orders.host, "pg1.internal");
  EXPECT_EQ(orders.port, 5432);
  EXPECT_EQ(orders.database, "orders");
  EXPECT_EQ(orders.sslmode, "verify-full");
  EXPECT_EQ(orders.ca, "/etc/sallyport/pg-ca.pem");
  EXPECT_TRUE(orders.jit_role);
  EXPECT_EQ(orders.user, "sallyport_admin");
  EXPECT_EQ(orders.password->name, "/run/credentials/pg");
  EXPECT_EQ(orders.jit_ttl, 15min);
  EXPECT_FALSE(orders.source_only);
  ASSERT_EQ(root.masking.columns.size(), 2u);
  EXPECT_EQ(root.masking.columns[0].connection, "orders-db");
  EXPECT_EQ(root.masking.columns[1].column, "public.*.cvv");
  EXPECT_EQ(root.masking.columns[1].detector, "sad");
  ASSERT_EQ(root.masking.detectors.size(), 3u);
  EXPECT_EQ(root.masking.detectors[1].action, mask::Action::block);
  EXPECT_EQ(root.masking.detectors[2].pattern, R"(\b[A-Z]{2}\d{2}[A-Z0-9]{11,30}\b)");
  ASSERT_EQ(root.masking.unmask.size(), 1u);
  EXPECT_EQ(root.masking.unmask[0], (policy::UnmaskGrant{.who = {"group:fraud-analysts"},
                                                         .detectors = {"pan"},
                                                         .approval = "leads-one",
                                                         .max_values = 20,
                                                         .ttl = 15min}));
  EXPECT_EQ(root.approvals[0].ttl, 15min);
  EXPECT_TRUE(root.approvals[0].reason_required);
  EXPECT_EQ(root.session_max, 4h);
  EXPECT_EQ(root.session_idle, 15min);
  EXPECT_EQ(root.evidence.origin, "gate.example.com/cde-1");
  EXPECT_FALSE(root.evidence.strict);
}

TEST(Load, RulesOfTheContract) {
  auto root = LoadFile(kData / "contract.yaml").root.value();
  ASSERT_EQ(root.policies.rules.size(), 7u);
  const auto& small = root.policies.rules[1];
  EXPECT_EQ(small.effect, op::Verdict::allow);
  ASSERT_EQ(small.args.size(), 2u);
  EXPECT_EQ(small.args[0].path, "amount");
  EXPECT_EQ(small.args[0].values, std::vector<std::string>{"100"});
  EXPECT_EQ(small.args[1].values, (std::vector<std::string>{"\"EUR\"", "\"USD\""}));
  EXPECT_EQ(root.policies.rules[0].rate->period_seconds, 60u);
  EXPECT_EQ(root.policies.rules[3].labels.at("scope"), "cde");
  EXPECT_EQ(root.policies.rules[4].sql->max_rows, 1000u);
  EXPECT_EQ(root.policies.rules[5].sql->unbounded, true);
  EXPECT_TRUE(policy::RuleSet::Compile(root.policies).has_value());
}

TEST(Load, AllOfTheContractIsActedOn) {
  const auto result = LoadFile(kData / "contract.yaml");
  EXPECT_TRUE(result.notes.empty()) << result.notes.front();
}

TEST(Load, ReadsPersonsAndLimitsOfApprovals) {
  const std::string text =
      "version: 1\n"
      "server: { public_url: \"http://127.0.0.1:7300\", listen: { http: \"127.0.0.1:7300\" },\n"
      "  data_dir: state, limits: { approvals_per_caller: 3, approvals_per_hour: 4 } }\n"
      "identity:\n"
      "  providers: [{ name: corp, oidc: { issuer: \"https://a.example\", audience: x } }]\n"
      "  persons: [{ name: jane, accounts: [{ provider: corp, subject: u1 },\n"
      "    { provider: corp, subject: u2 }] }]\n"
      "connections: [{ name: e, mcp: { stdio: { command: [npx] } } }]\n"
      "policies: [{ id: try, effect: allow, who: [any], on: { connection: e } }]\n";
  const auto result = LoadText(text, "x.yaml");
  ASSERT_TRUE(result.root);
  EXPECT_EQ(result.root->server.limits.approvals_per_caller, 3u);
  EXPECT_EQ(result.root->server.limits.approvals_per_hour, 4u);
  ASSERT_EQ(result.root->persons.size(), 1u);
  EXPECT_EQ(result.root->persons[0].accounts[1].subject, "u2");
}

TEST(Load, MissingSecretsAreWarnings) {
  auto result = LoadFile(kData / "contract.yaml");
  EXPECT_FALSE(HasErrors(result.problems));
  auto missing = std::ranges::count(result.problems, kCfgSecretMissing, &Problem::code);
  EXPECT_GT(missing, 5);
  auto quiet = LoadFile(kData / "contract.yaml", {.look_at_secrets = false});
  EXPECT_EQ(std::ranges::count(quiet.problems, kCfgSecretMissing, &Problem::code), 0);
}

constexpr std::string_view kSmall = R"(version: 1
server: { public_url: "http://127.0.0.1:7300", listen: { http: "127.0.0.1:7300" }, data_dir: state }
connections: [{ name: everything, mcp: { stdio: { command: [npx, server-everything] } } }]
policies: [{ id: try, effect: allow, who: [any], on: { connection: everything } }]
)";

TEST(Load, SmallFileHasSafeDefaults) {
  auto result = LoadText(kSmall, "/etc/sallyport/sallyport.yaml");
  ASSERT_TRUE(result.root.has_value()) << RenderText(result.problems);
  const Root& root = *result.root;
  EXPECT_EQ(root.server.data_dir, "/etc/sallyport/state");
  EXPECT_EQ(root.evidence.origin, "127.0.0.1");
  EXPECT_EQ(root.server.limits.json_depth, 64u);
  // Card numbers and authentication data are looked for although nobody asked.
  ASSERT_EQ(root.masking.detectors.size(), 2u);
  EXPECT_EQ(root.masking.detectors[0].kind, mask::DetectorKind::pan);
  EXPECT_EQ(root.masking.detectors[1].action, mask::Action::block);
}

TEST(Load, LimitsAreReadWithUnits) {
  std::string text(kSmall);
  text.replace(
      text.find("data_dir"), 0,
      "limits: { header_bytes: 16KiB, body_bytes: 1MiB, header_timeout: 5s, body_timeout: 6s, "
      "idle_timeout: 1m, "
      "write_timeout: 500ms, connections: 10, connections_per_address: 2, json_depth: 32, "
      "streams_per_caller: 3, "
      "sessions_per_caller: 4, calls_per_caller: 5, upstream_body_bytes: 8MiB, call_timeout: 2m, "
      "upstream_idle_timeout: 3m, session_idle: 4h, replay_events: 6 }, shards: 2, drain_timeout: "
      "10s, ");
  auto result = LoadText(text, "x.yaml");
  ASSERT_TRUE(result.root.has_value()) << RenderText(result.problems);
  const Server& server = result.root->server;
  EXPECT_EQ(server.limits.http.header_bytes, 16u << 10);
  EXPECT_EQ(server.limits.http.body_bytes, 1u << 20);
  EXPECT_EQ(server.limits.http.header_timeout_ms, 5000u);
  EXPECT_EQ(server.limits.http.body_timeout_ms, 6000u);
  EXPECT_EQ(server.limits.http.idle_timeout_ms, 60'000u);
  EXPECT_EQ(server.limits.http.write_timeout_ms, 500u);
  EXPECT_EQ(server.limits.http.connections, 10u);
  EXPECT_EQ(server.limits.http.connections_per_address, 2u);
  EXPECT_EQ(server.limits.json_depth, 32u);
  EXPECT_EQ(server.limits.streams_per_caller, 3u);
  EXPECT_EQ(server.limits.sessions_per_caller, 4u);
  EXPECT_EQ(server.limits.calls_per_caller, 5u);
  EXPECT_EQ(server.limits.upstream_body_bytes, 8u << 20);
  EXPECT_EQ(server.limits.call_timeout, 2min);
  EXPECT_EQ(server.limits.upstream_idle_timeout, 3min);
  EXPECT_EQ(server.limits.session_idle, 4h);
  EXPECT_EQ(server.limits.replay_events, 6u);
  EXPECT_EQ(server.shards, 2u);
  EXPECT_EQ(server.drain_timeout, 10s);
}

constexpr std::string_view kDatabases = R"(version: 1
server:
  public_url: "http://127.0.0.1:7300"
  listen: { postgres: "127.0.0.1:5433" }
  data_dir: state
  limits: { postgres: { connections: 7, sessions_per_caller: 3, login_deadline: 2s, statement_bytes: 1MiB, message_bytes: 2MiB } }
connections:
  - name: certificate
    postgres:
      upstream: { host: db.internal, port: 6432, database: d, client_cert: c.pem, client_key: { file: k.pem }, connect_timeout: 1s }
      credentials: { user: u }
      masking: source
      catalog_refresh: 5m
  - name: socket
    postgres:
      upstream: { host: /run/postgresql, database: d }
      credentials: { jit_role: { admin_user: a } }
  - name: here
    postgres:
      upstream: { host: "::1", database: d, sslmode: disable }
      credentials: { user: u, password: { env: SALLYPORT_TEST_PASSWORD } }
)";

TEST(Load, PostgresConnections) {
  auto result = LoadText(kDatabases, "/etc/sallyport/x.yaml");
  ASSERT_TRUE(result.root.has_value()) << RenderText(result.problems);
  const Postgres& certificate = *result.root->connections[0].postgres;
  EXPECT_EQ(certificate.port, 6432);
  EXPECT_EQ(certificate.client_cert, "/etc/sallyport/c.pem");
  EXPECT_EQ(certificate.client_key->name, "/etc/sallyport/k.pem");
  EXPECT_EQ(certificate.connect_timeout, 1s);
  EXPECT_EQ(certificate.user, "u");
  EXPECT_FALSE(certificate.password.has_value());
  EXPECT_TRUE(certificate.source_only);
  EXPECT_EQ(certificate.catalog_refresh, 5min);
  const Postgres& socket = *result.root->connections[1].postgres;
  EXPECT_EQ(socket.sslmode, "disable");
  EXPECT_TRUE(socket.jit_role);
  EXPECT_EQ(socket.jit_ttl, 15min);
  EXPECT_EQ(result.root->connections[2].postgres->sslmode, "disable");
  const PostgresLimits& limits = result.root->server.limits.postgres;
  EXPECT_EQ(limits.connections, 7u);
  EXPECT_EQ(limits.sessions_per_caller, 3u);
  EXPECT_EQ(limits.login_deadline, 2s);
  EXPECT_EQ(limits.statement_bytes, 1u << 20);
  EXPECT_EQ(limits.message_bytes, 2u << 20);
}

TEST(Load, WarnsOfRolesForNames) {
  const auto warnings = [](const std::string& admin) {
    const auto result = LoadText(
        "version: 1\n"
        "server: { public_url: \"http://127.0.0.1:7300\", listen: { http: \"127.0.0.1:7300\" },\n"
        "  data_dir: state }\n"
        "identity:\n"
        "  providers: [{ name: corp, oidc: { issuer: \"https://a.example\", audience: x } }]\n"
        "  roles: { admin: [" +
            admin +
            "] }\n"
            "connections: [{ name: e, mcp: { stdio: { command: [npx] } } }]\n"
            "policies: [{ id: try, effect: allow, who: [any], on: { connection: e } }]\n",
        "x.yaml");
    return std::ranges::count_if(
        result.problems, [](const Problem& p) { return p.message.contains("is taken for a"); });
  };
  EXPECT_EQ(warnings("user:ana@example.com"), 1);
  EXPECT_EQ(warnings("user:u1, \"user:https://a.example|ana@example.com\", group:a@b"), 0);
}

TEST(Load, WarnsOfDatabasesThatNobodyReaches) {
  auto warned = [](std::string text, std::string_view from, std::string_view to) {
    text.replace(text.find(from), from.size(), to);
    auto result = LoadText(text, "x.yaml");
    EXPECT_FALSE(HasErrors(result.problems)) << RenderText(result.problems);
    return std::ranges::count_if(result.problems, [](const Problem& p) {
      return p.code == kCfgNoEffect &&
             (p.message.contains("postgres") || p.message.contains("not a database"));
    });
  };
  EXPECT_EQ(
      warned(std::string(kDatabases), "postgres: \"127.0.0.1:5433\"", "http: \"127.0.0.1:7300\""),
      1);
  EXPECT_EQ(warned(std::string(kSmall), "http: \"127.0.0.1:7300\"",
                   "http: \"127.0.0.1:7300\", postgres: \"127.0.0.1:5433\""),
            1);
  EXPECT_EQ(
      warned(std::string(kSmall), "policies:",
             "masking: { columns: [{ connection: everything, column: a.b.c, detector: pan }] }"
             "\npolicies:"),
      1);
}

TEST(Load, RelativePathsStartAtTheFile) {
  std::string text(kSmall);
  text += "evidence: { sign: { key: { file: keys/log.key } } }\n";
  auto root = LoadText(text, "/etc/sallyport/x.yaml").root.value();
  EXPECT_EQ(root.evidence.signing_key->name, "/etc/sallyport/keys/log.key");
}

TEST(Load, UnreadableFile) {
  for (auto path : {kData / "no-such-file.yaml", kData}) {
    auto result = LoadFile(path);
    EXPECT_FALSE(result.root);
    ASSERT_EQ(result.problems.size(), 1u);
    EXPECT_EQ(result.problems[0].code, kCfgFile);
  }
  auto large = LoadText(std::string(2 << 20, ' '), "x.yaml");
  EXPECT_EQ(large.problems.at(0).code, kCfgTooLarge);
}

TEST(Load, ProblemsAreReadableAsJson) {
  auto result = LoadText("version: 1\nserver: {}\nx\"y: 1\n", "a \"b\".yaml");
  auto text = RenderJson(result.problems, result.notes);
  auto document = json::Document::Parse(text);
  ASSERT_TRUE(document.has_value()) << text;
  EXPECT_EQ(document->root()["valid"].boolean(), false);
  EXPECT_EQ(document->root()["problems"].size(), result.problems.size());
  EXPECT_EQ(document->root()["problems"].at(0)["line"].integer(), 2);
}

/// Each file of testdata/config/bad says in its first line what is wrong with it:
/// `# expect: LINE:COLUMN CODE, LINE:COLUMN CODE`.
class BadFile : public testing::TestWithParam<std::string> {};

TEST_P(BadFile, IsRefusedWhereItIsWrong) {
  auto path = kData / "bad" / GetParam();
  auto first = Slurp(path);
  first = first.substr(0, first.find('\n'));
  ASSERT_TRUE(first.starts_with("# expect: "));
  auto result = LoadFile(path);
  EXPECT_FALSE(result.root);
  std::string got;
  for (const auto& p : result.problems) {
    if (p.severity != Severity::error) continue;
    got += (got.empty() ? "" : ", ") + std::to_string(p.line) + ":" + std::to_string(p.column) +
           " " + std::string(p.code);
    EXPECT_FALSE(p.message.empty());
    EXPECT_EQ(p.message.find("hunter2"), std::string::npos);
    EXPECT_EQ(p.message.find("s3cret"), std::string::npos);
  }
  EXPECT_EQ(got, first.substr(10)) << RenderText(result.problems);
}

std::vector<std::string> BadFiles() {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(kData / "bad"))
    names.push_back(entry.path().filename());
  std::ranges::sort(names);
  return names;
}

INSTANTIATE_TEST_SUITE_P(All, BadFile, testing::ValuesIn(BadFiles()), [](const auto& param) {
  std::string name = param.param;
  std::ranges::replace_if(name, [](char c) { return c == '-' || c == '.'; }, '_');
  return name;
});

TEST(Bad, ThereAreEnough) { EXPECT_GE(BadFiles().size(), 60u); }

}  // namespace
}  // namespace sallyport::config
