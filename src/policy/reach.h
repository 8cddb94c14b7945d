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

}  // namespace sallyport::policy
