// A configuration or a file of policy tests from anyone: read, reported on, and what is accepted is
// judged by.
#include <cstdlib>
#include <string_view>

#include "config/case_file.h"
#include "config/load.h"
#include "json/document.h"
#include "policy/explain.h"

using namespace sallyport;

namespace {

void Check(bool holds) {
  if (!holds) std::abort();
}

const config::Root& KnownRoot() {
  static const config::Root root = [] {
    auto loaded = config::LoadText(R"(version: 1
server: { public_url: "http://127.0.0.1:1", listen: { http: "127.0.0.1:1" }, data_dir: d }
identity:
  providers: [{ name: corp, oidc: { issuer: "https://idp" } }]
  agents: [{ name: agent-refunds, owner: "group:g", match: { provider: corp, client_id: c } }]
connections:
  - { name: payments, mcp: { stdio: { command: [x] }, sql_arguments: [{ tool: execute_sql, path: $.sql }] } }
policies: [{ id: r, effect: allow, who: [any], on: { connection: payments } }]
)",
                                   "known.yaml", {.look_at_secrets = false});
    return std::move(*loaded.root);
  }();
  return root;
}

void Judge(const config::Root& root) {
  auto rules = policy::RuleSet::Compile(root.policies);
  Check(rules.has_value());
  op::Principal who{.issuer = "i",
                    .subject = "s",
                    .name = "ana",
                    .groups = {"support"},
                    .agent = "agent-refunds"};
  std::string_view text = R"({"amount":100,"currency":"EUR","id":null,"a":{"b":[1]}})";
  auto document = json::Document::Parse(text).value();
  for (const auto& connection : root.connections) {
    for (auto verb : {op::Verb::tool_call, op::Verb::resource_read, op::Verb::sql}) {
      op::Operation operation;
      operation.verb = verb;
      operation.connection = connection.name;
      operation.labels = &connection.labels;
      operation.resource = "refund_order";
      operation.arguments = document.root();
      auto explanation = policy::Explain(**rules, who, operation);
      Check(explanation.decision.effect != op::Verdict::allow ||
            !explanation.decision.rules.empty());
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string_view text(reinterpret_cast<const char*>(data), size);
  auto loaded = config::LoadText(text, "fuzz.yaml", {.look_at_secrets = false});
  Check(loaded.root.has_value() != config::HasErrors(loaded.problems));
  Check(json::Document::Parse(config::RenderJson(loaded.problems, loaded.notes)).has_value());
  config::RenderText(loaded.problems);
  if (loaded.root) Judge(*loaded.root);

  config::Context context;
  context.file = "fuzz.yaml";
  context.look_at_secrets = false;
  config::Node tree = config::ReadYaml(text, context.file, context.problems);
  if (context.problems.empty()) config::ReadCases(context, KnownRoot(), tree);
  return 0;
}
