#include "policy/check.h"

#include <algorithm>

#include "policy/compiled.h"

namespace sallyport::policy {
namespace {

using Problems = std::vector<RuleProblem>;

void CheckNames(const std::optional<std::vector<std::string>>& names, const std::string& field,
                Problems& out) {
  if (!names) return;
  if (names->empty()) {
    out.push_back({field, "an empty list matches nothing, so the rule never matches",
                   "leave the key out, or write [\"*\"]"});
  }
  for (const auto& name : *names) {
    if (auto glob = Glob::Make(name); !glob) out.push_back({field, glob.error().detail, {}});
  }
}

void CheckWho(const RuleSpec& rule, Problems& out) {
  if (rule.who.empty())
    out.push_back(
        {"who", "the rule is about nobody", "write who: [any], or group:, user:, agent: names"});
  for (const auto& selector : rule.who) {
    if (!IsWho(selector)) {
      out.push_back({"who", "\"" + selector + "\" names no kind of caller",
                     "write any, group:NAME, user:NAME or agent:NAME"});
    }
  }
}

void CheckEffect(const RuleSpec& rule, std::span<const std::string> approvals, Problems& out) {
  if (rule.effect == op::Verdict::approve) {
    if (rule.approval.empty()) {
      out.push_back({"approval", "a rule with effect approve does not say by whom",
                     "add approval: NAME from the approvals section"});
    } else if (std::ranges::find(approvals, rule.approval) == approvals.end()) {
      out.push_back({"approval", "there is no approval flow \"" + rule.approval + "\"",
                     "define it under approvals"});
    }
  } else if (!rule.approval.empty()) {
    out.push_back({"approval", "only a rule with effect approve has an approval flow",
                   "remove it, or write effect: approve"});
  }
  if (rule.rate && rule.effect == op::Verdict::deny) {
    out.push_back({"rate", "a rule that denies has nothing to limit", "remove rate"});
  }
  if (rule.require.any() && rule.effect == op::Verdict::deny) {
    out.push_back({"require", "a rule that denies lets nobody through", "remove require"});
  }
  if (rule.rate && (rule.rate->calls == 0 || rule.rate->period_seconds == 0)) {
    out.push_back(
        {"rate", "calls and per must be at least 1", "write rate: { calls: 60, per: 1m }"});
  }
}

void CheckArgs(const RuleSpec& rule, Problems& out) {
  for (const auto& matcher : rule.args) {
    if (auto made = ArgConditions::Make({matcher}); !made) {
      out.push_back({"on.args." + matcher.path, made.error().detail, {}});
    }
  }
  if (!rule.args.empty() && rule.resources && !rule.tools && !rule.prompts) {
    out.push_back({"on.args", "reading a resource has no arguments, so the rule never matches",
                   "remove args, or name tools"});
  }
}

void CheckSql(const RuleSpec& rule, Problems& out) {
  if (!rule.sql) return;
  const SqlScope& sql = *rule.sql;
  if (auto made = SqlConditions::Make(sql); !made)
    out.push_back({"on.sql", made.error().detail, {}});
  if ((rule.prompts || rule.resources) && !rule.tools) {
    out.push_back({"on.sql", "prompts and resources carry no SQL, so the rule never matches",
                   "name tools, or remove sql"});
  }
  if (rule.effect != op::Verdict::deny) return;
  if (!sql.columns_allow.empty()) {
    out.push_back({"on.sql.columns", "a rule that denies names what it denies",
                   "write columns: { deny: [...] }"});
  }
  if (!sql.functions_allow.empty()) {
    out.push_back({"on.sql.functions", "a rule that denies names what it denies",
                   "write functions: { deny: [...] }"});
  }
  if (sql.max_rows != 0) {
    out.push_back(
        {"on.sql.max_rows", "a rule that denies has no rows to limit", "remove max_rows"});
  }
}

}  // namespace

bool IsWho(std::string_view selector) {
  if (selector == "any") return true;
  for (std::string_view kind : {"group:", "user:", "agent:"}) {
    if (selector.starts_with(kind) && selector.size() > kind.size()) return true;
  }
  return false;
}

std::optional<std::string> CheckMatcher(const ArgMatcher& matcher) {
  auto made = ArgConditions::Make({matcher});
  return made ? std::nullopt : std::optional(made.error().detail);
}

std::vector<RuleProblem> CheckRule(const RuleSpec& rule, std::span<const std::string> approvals) {
  Problems out;
  if (rule.id.empty())
    out.push_back(
        {"id", "the rule has no id", "add id: a short name; it stands in every decision"});
  CheckWho(rule, out);
  CheckEffect(rule, approvals, out);
  CheckNames(rule.tools, "on.tools", out);
  CheckNames(rule.prompts, "on.prompts", out);
  CheckNames(rule.resources, "on.resources", out);
  CheckArgs(rule, out);
  CheckSql(rule, out);
  return out;
}

}  // namespace sallyport::policy
