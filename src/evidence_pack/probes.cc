#include "evidence_pack/probes.h"

#include <memory>
#include <set>

#include "policy/rules.h"

namespace sallyport::evidence_pack {
namespace {

constexpr size_t kMostCallers = 200, kMostPlaces = 200;

/// Whom rules name, one principal each, and somebody whom none does.
std::vector<std::pair<std::string, op::Principal>> Callers(const Setup& setup) {
  std::set<std::string> names;
  for (const policy::RuleSpec& rule : setup.policies.rules) {
    for (const std::string& who : rule.who) {
      if (who != "any") names.insert(who);
    }
  }
  std::vector<std::pair<std::string, op::Principal>> out;
  const auto add = [&](const std::string& name) {
    op::Principal p;
    p.issuer = "https://probe.invalid";
    p.subject = "probe";
    p.name = "probe";
    p.token_class = "access";
    if (name.starts_with("group:")) p.groups = {name.substr(6)};
    if (name.starts_with("user:")) p.subject = p.name = name.substr(5);
    if (name.starts_with("agent:")) p.agent = name.substr(6);
    out.emplace_back(name, std::move(p));
  };
  add("a stranger whom no rule names");
  for (const std::string& name : names) {
    if (out.size() < kMostCallers) add(name);
  }
  return out;
}

struct Question {
  const char* name;
  op::Verb verb;
  const char* method;
  op::Effect effect;
};
constexpr Question kQuestions[] = {
    {"a tool that no rule was written for", op::Verb::tool_call, "tools/call", op::Effect::call},
    {"a prompt that no rule was written for", op::Verb::prompt_get, "prompts/get",
     op::Effect::read},
    {"a resource that no rule was written for", op::Verb::resource_read, "resources/read",
     op::Effect::read},
    {"DROP TABLE of a table that no rule was written for", op::Verb::sql, "query", op::Effect::ddl},
};

op::Operation Ask(const Question& question, const std::string& connection,
                  const std::map<std::string, std::string>& labels) {
  op::Operation operation;
  operation.verb = question.verb;
  operation.effect = question.effect;
  operation.method = question.method;
  operation.connection = connection;
  operation.labels = &labels;
  operation.resource = "sallyport-probe-7f";
  if (question.verb == op::Verb::sql) {
    op::SqlStatement statement;
    statement.kind = "DROP";
    statement.effect = op::Effect::ddl;
    statement.relations.push_back({"sallyport_probe.nothing", true});
    op::SqlText text;
    text.statements.push_back(statement);
    text.worst = op::Effect::ddl;
    operation.sql.push_back(text);
    operation.resource = "postgres";
  }
  return operation;
}

struct Tally {
  uint64_t probes = 0, by_default = 0, by_rule = 0, allowed = 0, waiting = 0, unexplained = 0;
};

}  // namespace

void AddProbes(Pack& pack) {
  const auto rules = policy::RuleSet::Compile(pack.setup().policies);
  if (!rules) {
    pack.Missing({"7.3.1", "7.3.2", "7.3.3"}, "the rules cannot be compiled");
    return;
  }
  Csv csv(pack.Open("evidence/07.3.3/probes.csv"),
          {"caller", "connection", "asked_for", "verdict", "reason", "by_rules"});
  std::vector<Setup::Connection> places = pack.setup().connections;
  if (places.size() > kMostPlaces) places.resize(kMostPlaces);
  places.push_back({.name = "sallyport-probe-7f", .kind = "any"});
  Tally tally;
  for (const auto& [name, principal] : Callers(pack.setup())) {
    for (const Setup::Connection& place : places) {
      for (const Question& question : kQuestions) {
        if ((place.kind == "mcp" && question.verb == op::Verb::sql) ||
            (place.kind == "postgresql" && question.verb != op::Verb::sql))
          continue;
        const op::Operation operation = Ask(question, place.name, place.labels);
        const op::Decision d = (*rules)->Decide(principal, operation);
        ++tally.probes;
        const bool denied = d.effect == op::Verdict::deny;
        if (denied) ++(d.rules.empty() ? tally.by_default : tally.by_rule);
        if (d.effect == op::Verdict::allow) ++tally.allowed;
        if (d.effect == op::Verdict::approve) ++tally.waiting;
        if (!denied && d.rules.empty()) ++tally.unexplained;
        std::string by;
        for (const std::string& rule : d.rules) by += (by.empty() ? "" : " ") + rule;
        csv.Cell(name).Cell(place.name == "sallyport-probe-7f" ? "one that does not exist"
                                                               : place.name);
        csv.Cell(question.name)
            .Cell(denied                           ? "deny"
                  : d.effect == op::Verdict::allow ? "allow"
                                                   : "approve");
        csv.Cell(denied ? ReasonCode(d.reason) : "").Cell(by).End();
      }
    }
  }
  const std::string file = "evidence/07.3.3/default-deny-proof.json";
  pack.PutJson(file, "rules of the configuration, asked as the gateway asks them",
               {{"rules", (*rules)->size()},
                {"policy_version", (*rules)->version()},
                {"probes", tally.probes},
                {"denied_by_default", tally.by_default},
                {"denied_by_a_rule", tally.by_rule},
                {"let_through_by_a_rule_that_says_so", tally.allowed},
                {"waiting_for_approval_by_a_rule_that_says_so", tally.waiting},
                {"let_through_without_a_rule", tally.unexplained},
                {"last_rule", "what no rule lets through is denied: policy-default-deny"}});
  pack.Register({"7.3.1", "7.3.2", "7.3.3"}, file, "Default deny: what is not granted is refused",
                "generated requests against the rules of the configuration", tally.probes, "check");
  pack.Register({"7.3.3"}, csv.file().name(), "Every probe and its verdict",
                "generated requests against the rules of the configuration", csv.rows(),
                "population");
  pack.Figure({"7.3.3"}, "probes", tally.probes);
  pack.Figure({"7.3.3"}, "let_through_without_a_rule", tally.unexplained);
  if (tally.unexplained > 0)
    pack.Exception({"7.3.3"},
                   std::to_string(tally.unexplained) + " probes were let through without a rule");
}

}  // namespace sallyport::evidence_pack
