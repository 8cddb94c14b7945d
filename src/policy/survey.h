#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "policy/arg_index.h"
#include "policy/compiled.h"
#include "policy/index.h"
#include "policy/reading.h"

namespace sallyport::policy {

/// What all rules say of one question.
struct Survey {
  std::vector<uint32_t> matched;  // in the order of the file
  bool named = false;             // some rule speaks of this resource for this caller
  SqlObjection objection;  // of the first rule that would have let everything through but the SQL
};

struct RuleSet::Impl {
  WhoTable table;
  std::vector<Rule> rules;
  std::vector<std::string> ids;  // of `rules`
  RuleIndex index;
  std::string version;
  std::vector<std::string> second_factors;

  void Add(Rule rule);
  /// To be called once, after the last Add.
  void Seal() { arguments_.Seal(); }

  /// As Read of every rule says, in much less time: what most rules stop at is looked up for all of
  /// them at once, or in memory that lies together.
  Survey Look(const Question& question) const;

  /// As rules[i].ForWho(selectors).
  bool ForWho(uint32_t i, const WhoTable::Set& selectors) const {
    const Brief& brief = briefs_[i];
    if (brief.anyone) return true;
    for (uint32_t k = brief.who_begin; k != brief.who_end; ++k) {
      if (selectors.Has(who_ids_[k])) return true;
    }
    return false;
  }
  /// As rules[i].spec says, from memory that lies together.
  op::Verdict Effect(uint32_t i) const { return briefs_[i].effect; }
  bool HasObligations(uint32_t i) const { return briefs_[i].obligations; }
  bool HasMessage(uint32_t i) const { return briefs_[i].message; }

 private:
  /// What is looked at of every rule.
  struct Brief {
    uint32_t who_begin, who_end;  // in who_ids_
    uint32_t head;                // rules that name the same things have the same number
    op::Verdict effect;
    bool anyone, sql, obligations, message;
  };
  class Heads;

  std::vector<Brief> briefs_;
  std::vector<uint8_t> has_args_;
  std::vector<uint32_t> who_ids_;
  std::map<std::string, uint32_t> heads_;
  ArgIndex arguments_;
};

}  // namespace sallyport::policy
