#include "policy/survey.h"

#include <algorithm>

namespace sallyport::policy {
namespace {

/// From how many rules with conditions on arguments it pays to look at the arguments once for all.
constexpr size_t kManyConditions = 16;

/// What Names looks at, as a text.
std::string HeadOf(const Rule& rule) {
  std::string head;
  auto add = [&head](std::string_view text) {
    head.append(std::to_string(text.size())).append(":").append(text);
  };
  auto names = [&](const std::optional<std::vector<std::string>>& list) {
    head += list ? '+' : '-';
    if (!list) return;
    for (const auto& name : *list) add(name);
  };
  add(rule.spec.connection);
  for (const auto& [key, value] : rule.spec.labels) add(key), add(value);
  names(rule.spec.tools), names(rule.spec.prompts), names(rule.spec.resources);
  head += rule.sql ? 'q' : '-';
  head += rule.spec.effect == op::Verdict::allow ? 'a' : 'h';
  return head;
}

}  // namespace

void RuleSet::Impl::Add(Rule rule) {
  index.Add(static_cast<uint32_t>(rules.size()), rule);
  Brief brief{.who_begin = static_cast<uint32_t>(who_ids_.size())};
  who_ids_.insert(who_ids_.end(), rule.who.begin(), rule.who.end());
  brief.who_end = static_cast<uint32_t>(who_ids_.size());
  brief.head = heads_.try_emplace(HeadOf(rule), heads_.size()).first->second;
  brief.effect = rule.spec.effect;
  brief.anyone = rule.anyone;
  brief.sql = rule.sql.has_value();
  brief.obligations =
      rule.spec.rate || rule.spec.require.any() || (rule.sql && rule.sql->max_rows() != 0);
  brief.message = !rule.spec.message.empty();
  briefs_.push_back(brief);
  has_args_.push_back(!rule.args.empty());
  arguments_.Add(rule.args, rule.spec.effect != op::Verdict::allow);
  ids.push_back(rule.spec.id);
  rules.push_back(std::move(rule));
}

/// Names of all rules for one question, each head looked at once.
class RuleSet::Impl::Heads {
 public:
  Heads(const Impl& impl, const op::Operation& operation, bool many)
      : impl_(impl), operation_(operation), seen_(many ? impl.heads_.size() : 0) {}

  bool Names(uint32_t i) {
    if (seen_.empty()) return policy::Names(impl_.rules[i], operation_);
    uint8_t& seen = seen_[impl_.briefs_[i].head];
    if (seen == 0) seen = policy::Names(impl_.rules[i], operation_) ? 2 : 1;
    return seen == 2;
  }

 private:
  const Impl& impl_;
  const op::Operation& operation_;
  std::vector<uint8_t> seen_;  // by head; 1: no, 2: yes
};

Survey RuleSet::Impl::Look(const Question& question) const {
  const op::Operation& operation = question.operation;
  auto candidates =
      index.Candidates(operation.connection, operation.labels, operation.verb, operation.resource);
  size_t conditional = 0;
  for (uint32_t i : candidates) conditional += has_args_[i];
  const bool counted = conditional >= kManyConditions;
  const std::vector<int32_t> open =
      counted ? arguments_.Open(operation.arguments) : std::vector<int32_t>();
  Heads heads(*this, operation, candidates.size() >= kManyConditions);
  Survey out;
  out.matched.reserve(candidates.size());
  bool passed_over = false;
  for (uint32_t i : candidates) {
    if (counted && open[i] != 0) {
      passed_over = true;
    } else if (!ForWho(i, question.selectors)) {
      continue;
    } else if (operation.sql.empty() && !briefs_[i].sql && (counted || !has_args_[i])) {
      if (!heads.Names(i)) continue;
      out.named = true;
      out.matched.push_back(i);
    } else {
      Reading reading = Read(rules[i], question, counted);
      out.named |= reading.names();
      if (reading.objection && !out.objection) out.objection = reading.objection;
      if (reading.matched()) out.matched.push_back(i);
    }
  }
  if (passed_over && !out.named) {
    out.named =
        std::ranges::any_of(candidates, [&](uint32_t i) { return open[i] != 0 && heads.Names(i); });
  }
  return out;
}

}  // namespace sallyport::policy
