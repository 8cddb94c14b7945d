#pragma once

#include <string>
#include <vector>

#include "op/decision.h"
#include "op/operation.h"
#include "op/session.h"
#include "policy/rules.h"

namespace sallyport::policy {

/// How one rule took an operation.
struct RuleTrace {
  std::string rule;
  op::Verdict effect = op::Verdict::deny;
  bool matched = false;
  std::string_view
      step;  // what it stopped at: "who", "connection", "name", "args", "sql"; "matched"; static
  std::string
      reason;  // in words, for people; names of rules, arguments and relations, never values
};

/// A decision and every rule of the set beside it, in the order of the file.
struct Explanation {
  op::Decision decision;
  std::vector<RuleTrace> rules;
};

/// Why RuleSet::Decide says what it says: the same functions read the rules, so the two cannot
/// differ. Not for the hot path: it looks at every rule.
Explanation Explain(const RuleSet& rules, const op::Principal& who, const op::Operation& operation);

/// "allow", "approve", "deny". Static lifetime.
std::string_view VerdictName(op::Verdict verdict);

}  // namespace sallyport::policy
