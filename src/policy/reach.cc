#include "policy/reach.h"

#include "policy/survey.h"

namespace sallyport::policy {

std::vector<SqlScope> ReachOf(const RuleSet& rules, const op::Principal& who,
                              std::string_view connection,
                              const std::map<std::string, std::string>& labels) {
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

}  // namespace sallyport::policy
