#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "policy/rules.h"

namespace sallyport::policy {

/// Something wrong with a rule. `field` is the key it is about, dotted from the rule ("on.tools",
/// "who", "on.args.amount"), so that whoever read the rule from a file can say where it stands.
/// `hint` says what to write instead; may be empty.
struct RuleProblem {
  std::string field, what, hint;
};

/// Everything wrong with one rule on its own, and with the names of approval flows it refers to.
/// Patterns and expressions are compiled on the way. Empty: Compile accepts it (unless its id
/// occurs twice).
std::vector<RuleProblem> CheckRule(const RuleSpec& rule, std::span<const std::string> approvals);

/// What is wrong with one argument condition, if anything.
std::optional<std::string> CheckMatcher(const ArgMatcher& matcher);

/// Whether `selector` is "any" or "group:x", "user:x", "agent:x" with a non-empty x.
bool IsWho(std::string_view selector);

}  // namespace sallyport::policy
