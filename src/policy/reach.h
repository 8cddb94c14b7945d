#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "op/session.h"
#include "policy/rules.h"

namespace sallyport::policy {

/// The SQL scopes of all rules that could let `who` do something at a connection: the most that a
/// credential made for the session may need. Rules that only deny take nothing away here: they are
/// judged per statement. Thread-safe, pure.
std::vector<SqlScope> ReachOf(const RuleSet& rules, const op::Principal& who,
                              std::string_view connection,
                              const std::map<std::string, std::string>& labels);

/// A rule that speaks of a person, and by what it knows them: entries of its `who`.
struct RuleForPerson {
  std::string id, connection;
  op::Verdict effect = op::Verdict::deny;
  std::vector<std::string> because;
};
std::vector<RuleForPerson> RulesFor(const RuleSet& rules, const op::Principal& who);

/// Whether some rule lets `who` do anything at a connection, or asks for an approval.
bool Admits(const RuleSet& rules, const op::Principal& who, std::string_view connection,
            const std::map<std::string, std::string>& labels);

}  // namespace sallyport::policy
