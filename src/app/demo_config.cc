#include "app/demo_config.h"

namespace sallyport::app {
namespace {

constexpr std::string_view kTemplate =
    R"(# Written by `sallyport dev`: loopback only, demo identities, demo data. Not for cardholder data.
version: 1

server:
  public_url: http://127.0.0.1:@gate@
  listen:
    http: "127.0.0.1:@gate@"
@postgres-listen@    ops: "127.0.0.1:@ops@"
  data_dir: @state@/data
  limits: { approval_hold: 1s }

identity:
  providers:
    - name: dev
      oidc:
        issuer: @issuer@
        audience: http://127.0.0.1:@gate@
        client_id: sallyport-console           # people sign in at the gate
        scopes: [openid, email, groups]
        claims: { user: email, groups: groups }
  agents:
    - name: agent-refunds
      match: { provider: dev, client_id: agent-refunds }
      owner: group:payments-platform
  roles:
    admin: [group:gate-admins]
    auditor: [group:internal-audit]

connections:
  - name: payments
    labels: { env: dev, scope: cde }
    mcp:
      http: { url: "http://127.0.0.1:@payments@/mcp", auth: { bearer: { file: @credential@ } } }
      pin_tools: review
      read_only: [get_order, list_orders, "search_*"]
      sql_arguments: [{ tool: execute_sql, path: $.sql, dialect: postgresql }]
@postgres-connection@
masking:
  detectors:
    - { name: pan, kind: pan, render: last4 }
    - { name: sad, kind: sad }
@postgres-columns@
approvals:
  - name: leads-one
    approvers: [group:payments-leads]
    need: 1
    reason: required
    ttl: 15m

policies:                                   # default deny; deny > approve > allow
  - id: support-read
    effect: allow
    who: [agent:agent-refunds, group:support]
    on: { connection: payments, tools: [get_order, list_orders, "search_*"] }
  - id: refund-small
    effect: allow
    who: [agent:agent-refunds]
    on: { connection: payments, tools: [refund_order], args: { amount: { lte: 100 }, currency: { in: [EUR, USD] } } }
  - id: refund-large
    effect: approve
    approval: leads-one
    who: [agent:agent-refunds]
    on: { connection: payments, tools: [refund_order], args: { amount: { gt: 100 } } }
  - id: no-export
    effect: deny
    who: [any]
    on: { labels: { scope: cde }, tools: ["export_*", "dump_*"] }
    message: Bulk export leaves the cardholder data environment. Ask payments-security for the reporting feed.
  - id: analyst-sql
    effect: allow
    who: [group:analysts]
    on:
      connection: payments
      tools: [execute_sql]
      sql: { statements: [SELECT], relations: [orders, public.orders], columns: { deny: [orders.cvv, public.orders.cvv] } }
@postgres-rules@
evidence:
  origin: sallyport.dev/local
  durability: group
  encrypt: { kek: { file: @state@/recordings.kek } }
)";

constexpr const char* kListen = R"(    postgres: "127.0.0.1:@postgres@"
)";

constexpr const char* kConnection =
    R"(  - name: orders-db                         # psql "host=127.0.0.1 port=@postgres@ dbname=orders-db"
    labels: { env: dev, scope: cde }
    postgres:
      upstream: { host: 127.0.0.1, port: @database@, database: orders, sslmode: disable }
      credentials:
        jit_role: { admin_user: sallyport_admin, admin_password: { file: @database-credential@ }, ttl: 15m, grants_from: policy }
      masking: source                       # the database itself never sends what is classified
)";

constexpr const char* kColumns = R"(  columns:
    - { connection: orders-db, column: public.payments.card_number, detector: pan }
    - { connection: orders-db, column: "public.*.cvv", detector: sad }
)";

constexpr const char* kRules = R"(  - id: analyst-orders-db
    effect: allow
    who: [group:analysts]
    on: { connection: orders-db, sql: { statements: [SELECT], relations: [public.payments], max_rows: 5000 } }
  - id: analyst-catalog
    effect: allow
    who: [group:analysts]
    on:
      connection: orders-db
      sql: { statements: [SELECT, SHOW, SET], relations: ["pg_catalog.*", "information_schema.*"] }
)";

}  // namespace

std::string DemoConfig(const DemoPorts& ports, const std::filesystem::path& state,
                       const std::string& issuer, const std::filesystem::path& credential,
                       const std::filesystem::path& database_credential) {
  std::string text(kTemplate);
  const auto replace = [&](std::string_view name, const std::string& value) {
    for (size_t at; (at = text.find(name)) != std::string::npos;)
      text.replace(at, name.size(), value);
  };
  const bool database = !database_credential.empty();
  replace("@postgres-listen@", database ? kListen : "");
  replace("@postgres-connection@", database ? kConnection : "");
  replace("@postgres-columns@", database ? kColumns : "");
  replace("@postgres-rules@", database ? kRules : "");
  replace("@postgres@", std::to_string(ports.postgres));
  replace("@database@", std::to_string(ports.database));
  replace("@database-credential@", database_credential.string());
  replace("@gate@", std::to_string(ports.gate));
  replace("@ops@", std::to_string(ports.ops));
  replace("@payments@", std::to_string(ports.payments));
  replace("@state@", state.string());
  replace("@issuer@", issuer);
  replace("@credential@", credential.string());
  return text;
}

}  // namespace sallyport::app
