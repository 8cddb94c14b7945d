#include "policy/reach.h"

#include <algorithm>
#include <iterator>

#include "policy/grant.h"
#include "policy/survey.h"

namespace sallyport::policy {

std::vector<SqlScope> ReachOf(const RuleSet& rules, const op::Principal& who,
                              std::string_view connection,
                              const std::map<std::string, std::string>& labels) {
  if (who.grant && !who.grant->Mentions(connection)) return {};
  const RuleSet::Impl& impl = rules.impl();
  const WhoTable::Set selectors = impl.table.Of(who);
  std::vector<SqlScope> reach;
  for (const Rule& rule : impl.rules) {
    if (rule.spec.effect == op::Verdict::deny || !rule.spec.sql) continue;
    if (!rule.ForWho(selectors) || !rule.ForConnection(connection, &labels)) continue;
    reach.push_back(*rule.spec.sql);
  }
  return reach;
}

std::vector<RuleForPerson> RulesFor(const RuleSet& rules, const op::Principal& who) {
  const RuleSet::Impl& impl = rules.impl();
  const WhoTable::Set selectors = impl.table.Of(who);
  const auto names = [&](const std::string& entry) {
    if (entry.starts_with("group:"))
      return std::ranges::find(who.groups, entry.substr(6)) != who.groups.end();
    if (entry.starts_with("agent:")) return !who.agent.empty() && entry.substr(6) == who.agent;
    if (!entry.starts_with("user:")) return entry == "any";
    const std::string_view user = std::string_view(entry).substr(5);
    return user == who.name || user == who.subject || user == who.issuer + "|" + who.subject;
  };
  std::vector<RuleForPerson> found;
  for (const Rule& rule : impl.rules) {
    if (!rule.ForWho(selectors)) continue;
    RuleForPerson one{rule.spec.id, rule.spec.connection, rule.spec.effect, {}};
    std::ranges::copy_if(rule.spec.who, std::back_inserter(one.because), names);
    found.push_back(std::move(one));
  }
  return found;
}

bool Admits(const RuleSet& rules, const op::Principal& who, std::string_view connection,
            const std::map<std::string, std::string>& labels) {
  const RuleSet::Impl& impl = rules.impl();
  const WhoTable::Set selectors = impl.table.Of(who);
  for (const Rule& rule : impl.rules) {
    if (rule.spec.effect != op::Verdict::deny && rule.ForWho(selectors) &&
        rule.ForConnection(connection, &labels))
      return true;
  }
  return false;
}

}  // namespace sallyport::policy
