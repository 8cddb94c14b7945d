#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/error.h"

namespace sallyport::op {

enum class Verdict : uint8_t { allow, approve, deny };  // later values win

/// At most `calls` per `period_seconds` for one principal under one rule.
struct Rate {
  std::string rule;
  uint32_t calls = 0;
  uint32_t period_seconds = 0;
};

/// A limit of the session that covers an operation (policy/grant.h).
struct LimitUse {
  uint32_t limit = 0;     // its number, from 0
  uint32_t uses = 0;      // how many it has; 0: any number
  uint64_t max_rows = 0;  // 0: any number
};

/// How the caller has to have signed in for an operation; the strictest of all rules that let it through.
struct StepUp {
  bool mfa = false;               // by more than one factor
  uint32_t max_age_seconds = 0;   // 0: whenever
  bool any() const { return mfa || max_age_seconds != 0; }
};

/// What has to be done to an allowed operation and its answer. They add up over all rules that fired.
struct Obligations {
  std::vector<Rate> rates;
  uint64_t max_rows = 0;  // 0: no limit
  StepUp step_up;
};

/// The verdict of the policy, with its own evidence: which rules fired and why.
struct Decision {
  Verdict effect = Verdict::deny;
  Errc reason = Errc::policy_default_deny;  // meaningful unless allow
  std::vector<std::string> rules;           // ids of the rules that decided
  std::string message;                      // of the deciding rule, for the caller
  std::string approval;                     // name of the approval flow, for approve
  std::string why;                          // one line for people: never argument values
  Obligations obligations;
  std::vector<LimitUse> limits;             // of a session with limits that lets this through
  bool hidden = false;  // no rule lets this caller know that the resource exists
};

/// Why an operation was not admitted: everything a front-end needs to say so in its protocol.
struct Refusal {
  Error error;
  Decision decision;
  std::string decision_id;        // "d_…"; empty when the ledger itself failed
  std::string approval_id;        // "a_…" for approval_required and what became of one
  std::string approval_url;       // where it is decided about
  Nanos approval_expires = 0;
  uint32_t retry_after_seconds = 0;  // for rate_limited
};

}  // namespace sallyport::op
