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
    ops: "127.0.0.1:@ops@"
  data_dir: @state@/data

identity:
  providers:
    - name: dev
      oidc:
        issuer: @issuer@
        audience: http://127.0.0.1:@gate@
        claims: { user: email, groups: groups }
  agents:
    - name: agent-refunds
      match: { provider: dev, client_id: agent-refunds }
      owner: group:payments-platform

connections:
  - name: payments
    labels: { env: dev, scope: cde }
    mcp:
      http: { url: "http://127.0.0.1:@payments@/mcp", auth: { bearer: { file: @credential@ } } }
      pin_tools: review
      read_only: [get_order, list_orders, "search_*"]
      sql_arguments: [{ tool: execute_sql, path: $.sql, dialect: postgresql }]

masking:
  detectors:
    - { name: pan, kind: pan, render: last4 }
    - { name: sad, kind: sad }

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

evidence:
  origin: sallyport.dev/local
  durability: group
)";

}  // namespace

std::string DemoConfig(const DemoPorts& ports, const std::filesystem::path& state,
                       const std::string& issuer, const std::filesystem::path& credential) {
  std::string text(kTemplate);
  const auto replace = [&](std::string_view name, const std::string& value) {
    for (size_t at; (at = text.find(name)) != std::string::npos;)
      text.replace(at, name.size(), value);
  };
  replace("@gate@", std::to_string(ports.gate));
  replace("@ops@", std::to_string(ports.ops));
  replace("@payments@", std::to_string(ports.payments));
  replace("@state@", state.string());
  replace("@issuer@", issuer);
  replace("@credential@", credential.string());
  return text;
}

}  // namespace sallyport::app
