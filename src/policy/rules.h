#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "op/decision.h"
#include "op/operation.h"
#include "op/session.h"

namespace sallyport::policy {

/// One typed condition on one argument: `amount: { lte: 100 }`. All conditions of a rule hold
/// together.
struct ArgMatcher {
  enum class Test : uint8_t { eq, in, lt, lte, gt, gte, matches, absent, present };
  std::string path;  // dotted, "customer.address.country"; "items.0.id" for elements
  Test test = Test::eq;
  std::vector<std::string>
      values;  // JSON literals as text; for `matches` one RE2 pattern, whole match
};

/// What the `on.sql` part of a rule says.
struct SqlScope {
  std::vector<std::string>
      statements;  // "SELECT", …; empty: any, but a rule that lets through covers reads only
  std::vector<std::string> relations;  // globs over "schema.name"
  std::vector<std::string> columns_allow, columns_deny;
  std::vector<std::string> functions_allow, functions_deny;
  std::optional<bool> require_where;
  std::optional<bool> unbounded;  // true: the rule is about unbounded reads
  uint64_t max_rows = 0;
};

/// One rule of the `policies` section as read from the configuration.
struct RuleSpec {
  std::string id;
  op::Verdict effect = op::Verdict::deny;
  std::string approval;
  std::vector<std::string> who;  // "any", "group:x", "user:x", "agent:x"
  std::string connection;        // empty: any that `labels` allow
  std::map<std::string, std::string> labels;
  std::optional<std::vector<std::string>> tools, prompts, resources;  // globs
  std::vector<ArgMatcher> args;
  std::optional<SqlScope> sql;
  std::optional<op::Rate> rate;
  op::StepUp require;  // how whom it lets through has to have signed in
  std::string message;
};

/// Which approver flows exist, for checks.
struct RuleSetSpec {
  std::vector<RuleSpec> rules;
  std::vector<std::string> approvals;
  /// Values of `amr` and `acr` that count as a second factor; empty: DefaultSecondFactors().
  std::vector<std::string> second_factors;
};

/// The rules in force, compiled. Immutable, thread-safe, no clock, no I/O: Decide is a pure
/// function. deny > approve > allow; nothing matched: deny. Obligations of all matching allow rules
/// add up: the tightest wins where they speak of the same thing.
class RuleSet {
 public:
  /// config_invalid: a bad pattern, a rule that can never match, an unknown approval flow.
  static Result<std::shared_ptr<const RuleSet>> Compile(RuleSetSpec spec);
  ~RuleSet();

  /// The verdict; of a caller with a grant, narrowed by it. An incomplete group list that could
  /// matter is identity_incomplete; an operation that is not completely understood is refused.
  /// Protocol messages and lists are allowed: a list is filtered (Visible).
  op::Decision Decide(const op::Principal& who, const op::Operation& operation) const;

  /// Whether some allow or approve rule could let `who` use this resource with some arguments: what
  /// a list may show. False while an unconditional deny rule covers it.
  bool Visible(const op::Principal& who, std::string_view connection,
               const std::map<std::string, std::string>& labels, op::Verb verb,
               std::string_view resource) const;

  /// Hex SHA-256 over the canonical form of the rules, first 16 characters.
  const std::string& version() const;
  size_t size() const;
  /// For CheckStepUp of what Decide demands.
  const std::vector<std::string>& second_factors() const;
  std::vector<std::string> rule_ids() const;

  struct Impl;
  const Impl& impl() const;  // for Explain

 private:
  RuleSet();
  bool GroupsMatter(std::string_view connection,
                    const std::map<std::string, std::string>* labels) const;
  std::unique_ptr<Impl> impl_;
};

}  // namespace sallyport::policy
