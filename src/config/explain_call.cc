#include "config/explain_call.h"

#include "config/ask.h"
#include "config/load.h"
#include "policy/explain.h"

namespace sallyport::config {
namespace {

using policy::VerdictName;

std::string List(const std::vector<std::string>& items) {
  std::string out = "[";
  for (const auto& item : items) {
    if (out.size() > 1) out += ",";
    out += json::Quote(item);
  }
  return out + "]";
}

std::string AsJson(const policy::Explanation& e) {
  const op::Decision& d = e.decision;
  std::string out = R"({"v":1,"decision":)" + json::Quote(VerdictName(d.effect));
  if (d.effect != op::Verdict::allow) out += R"(,"reason":)" + json::Quote(ReasonCode(d.reason));
  out += R"(,"rules":)" + List(d.rules) + R"(,"why":)" + json::Quote(d.why);
  if (!d.message.empty()) out += R"(,"message":)" + json::Quote(d.message);
  if (!d.approval.empty()) out += R"(,"approval":)" + json::Quote(d.approval);
  out += d.hidden ? R"(,"hidden":true)" : R"(,"hidden":false)";
  out += R"(,"obligations":{"rates":[)";
  for (const auto& rate : d.obligations.rates) {
    if (out.back() != '[') out += ",";
    out += R"({"rule":)" + json::Quote(rate.rule) + R"(,"calls":)" + std::to_string(rate.calls) +
           R"(,"per_seconds":)" + std::to_string(rate.period_seconds) + "}";
  }
  out +=
      R"(],"max_rows":)" + std::to_string(d.obligations.max_rows) +
      (d.obligations.step_up.any()
           ? R"(,"require":{"mfa":)" + std::string(d.obligations.step_up.mfa ? "true" : "false") +
                 R"(,"max_age_seconds":)" + std::to_string(d.obligations.step_up.max_age_seconds) +
                 "}"
           : "") +
      R"(},"trace":[)";
  for (const auto& rule : e.rules) {
    if (out.back() != '[') out += ",";
    out += R"({"rule":)" + json::Quote(rule.rule) + R"(,"effect":)" +
           json::Quote(VerdictName(rule.effect)) + R"(,"matched":)" +
           (rule.matched ? "true" : "false") + R"(,"step":)" + json::Quote(rule.step) +
           R"(,"reason":)" + json::Quote(rule.reason) + "}";
  }
  return out + "]}\n";
}

std::string AsText(const policy::Explanation& e) {
  const op::Decision& d = e.decision;
  std::string out = "decision: " + std::string(VerdictName(d.effect));
  if (d.effect != op::Verdict::allow) out += " (" + std::string(ReasonCode(d.reason)) + ")";
  out += "\nwhy:      " + d.why + "\n";
  if (!d.message.empty()) out += "message:  " + d.message + "\n";
  if (!d.approval.empty()) out += "approval: " + d.approval + "\n";
  if (d.hidden) out += "hidden:   the caller is not told that it exists\n";
  for (const auto& rate : d.obligations.rates) {
    out += "rate:     " + std::to_string(rate.calls) + " calls in " +
           std::to_string(rate.period_seconds) + " s (" + rate.rule + ")\n";
  }
  if (d.obligations.max_rows != 0)
    out += "max rows: " + std::to_string(d.obligations.max_rows) + "\n";
  if (d.obligations.step_up.mfa) out += "require:  a sign-in with a second factor\n";
  if (const uint32_t age = d.obligations.step_up.max_age_seconds; age != 0)
    out += "require:  a sign-in of the last " + std::to_string(age) + " s\n";
  size_t width = 4;
  for (const auto& rule : e.rules) width = std::max(width, rule.rule.size());
  out += "rules:\n";
  for (const auto& rule : e.rules) {
    out += rule.matched ? "  + " : "  - ";
    out += rule.rule + std::string(width - rule.rule.size() + 1, ' ');
    std::string effect(VerdictName(rule.effect));
    out += effect + std::string(8 - effect.size(), ' ');
    out += std::string(rule.step) + ": " + rule.reason + "\n";
  }
  return out;
}

}  // namespace

Outcome ExplainCall(const ExplainRequest& request) {
  auto loaded = LoadFile(request.config, {.look_at_secrets = false});
  if (!loaded.root) return {.exit_code = kExitBadConfig, .err = RenderText(loaded.problems)};
  auto usage = [](const std::string& what) {
    return Outcome{.exit_code = kExitUsage, .err = "policy explain: " + what + "\n"};
  };
  if (request.call.empty() == request.sql.empty())
    return usage("give either --call or --sql with --connection");
  auto who = ReadIdentity(*loaded.root, request.as);
  if (!who) return usage("--as: " + who.error().detail);
  auto ask = request.call.empty() ? Ask::Sql(*loaded.root, request.connection, request.sql)
                                  : Ask::Call(*loaded.root, request.call);
  if (!ask) return usage(ask.error().detail);
  auto rules = policy::RuleSet::Compile(loaded.root->policies);
  if (!rules) return {.exit_code = kExitBadConfig, .err = rules.error().detail + "\n"};
  auto explanation = policy::Explain(**rules, *who, (*ask)->operation());
  return {.exit_code = explanation.decision.effect == op::Verdict::allow ? 0 : kExitNegative,
          .out = request.json ? AsJson(explanation) : AsText(explanation)};
}

}  // namespace sallyport::config
