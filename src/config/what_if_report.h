#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "op/decision.h"

namespace sallyport::config {

/// What `policy whatif` found.
struct WhatIfReport {
  struct Counts {
    uint64_t recorded = 0, now = 0;  // operations that it decided, of those that could be judged
    uint64_t differ = 0;             // of the other verdicts, then or now
  };
  struct Example {
    uint64_t index = 0;
    Nanos at = 0;
    std::string who, connection, method, resource;
    op::Verdict was = op::Verdict::deny, now = op::Verdict::deny;
    std::string was_reason, now_reason;  // reason codes, of what is not allowed
    std::vector<std::string> was_rules, now_rules;
    std::string why;  // now, for people
  };

  std::string version;  // of the rules that judge
  uint64_t entries = 0, operations = 0, same = 0;
  uint64_t same_rules = 0;      // operations that were decided by rules of this version
  uint64_t assumed_public = 0;  // a table name without a schema decided, read as in `public`
  std::map<std::pair<op::Verdict, op::Verdict>, uint64_t> differ;  // was, now
  std::map<std::string, uint64_t> unknown;                         // by reason
  std::map<std::string, Counts, std::less<>> rules;
  std::vector<Example> examples;  // the first ones

  uint64_t different() const;
  uint64_t cannot_tell() const;
  std::string Text() const;  // safe to print on a terminal
  std::string Json() const;  // one line
};

}  // namespace sallyport::config
