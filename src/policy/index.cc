#include "policy/index.h"

#include <algorithm>
#include <functional>

namespace sallyport::policy {
namespace {

void Append(const std::vector<uint32_t>& rules, std::vector<uint32_t>& out) {
  out.insert(out.end(), rules.begin(), rules.end());
}

/// Rules come in ascending order, some twice in a row.
void Enter(std::vector<uint32_t>& rules, uint32_t rule) {
  if (rules.empty() || rules.back() != rule) rules.push_back(rule);
}

/// In the order of the file, each rule once.
void Order(std::vector<uint32_t>& rules) {
  if (std::ranges::adjacent_find(rules, std::ranges::greater_equal()) == rules.end()) return;
  std::ranges::sort(rules);
  rules.erase(std::ranges::unique(rules).begin(), rules.end());
}

}  // namespace

void NameIndex::Add(uint32_t rule, const std::vector<Glob>& globs) {
  for (const auto& glob : globs) {
    if (glob.literal()) {
      Enter(literal_[glob.text()], rule);
    } else if (auto key = glob.prefix().substr(0, kKey); !key.empty()) {
      Enter(prefix_[std::string(key)], rule);
      prefix_sizes_ |= 1u << key.size();
    } else if (auto end = glob.suffix(); !end.empty()) {
      auto tail = end.substr(end.size() - std::min(kKey, end.size()));
      Enter(suffix_[std::string(tail)], rule);
      suffix_sizes_ |= 1u << tail.size();
    } else {
      Enter(other_, rule);
    }
  }
}

void NameIndex::Collect(std::string_view name, std::vector<uint32_t>& out) const {
  Append(other_, out);
  auto add = [&](const Names& names, std::string_view key) {
    if (auto at = names.find(key); at != names.end()) Append(at->second, out);
  };
  add(literal_, name);
  for (size_t n = 1; n <= std::min(kKey, name.size()); ++n) {
    if ((prefix_sizes_ >> n & 1) != 0) add(prefix_, name.substr(0, n));
    if ((suffix_sizes_ >> n & 1) != 0) add(suffix_, name.substr(name.size() - n));
  }
}

void RuleIndex::Bucket::Add(uint32_t rule, const Rule& compiled) {
  all.push_back(rule);
  if (compiled.tools) tools.Add(rule, *compiled.tools);
  if (compiled.prompts) prompts.Add(rule, *compiled.prompts);
  if (compiled.resources) resources.Add(rule, *compiled.resources);
  if (!compiled.tools && !compiled.prompts && !compiled.resources) nameless.push_back(rule);
  if (compiled.sql) sql.push_back(rule);
}

void RuleIndex::Bucket::Collect(op::Verb verb, std::string_view resource,
                                std::vector<uint32_t>& out) const {
  Append(nameless, out);
  switch (verb) {
    case op::Verb::tool_call:
      tools.Collect(resource, out);
      break;
    case op::Verb::prompt_get:
      prompts.Collect(resource, out);
      break;
    case op::Verb::resource_read:
    case op::Verb::resource_subscribe:
      resources.Collect(resource, out);
      break;
    case op::Verb::completion:
      prompts.Collect(resource, out);
      resources.Collect(resource, out);
      break;
    case op::Verb::sql:
      Append(sql, out);
      break;
    case op::Verb::protocol:
    case op::Verb::list:
      break;
  }
}

void RuleIndex::Add(uint32_t rule, const Rule& compiled) {
  const RuleSpec& spec = compiled.spec;
  if (!spec.connection.empty()) {
    by_connection_[spec.connection].Add(rule, compiled);
  } else if (!spec.labels.empty()) {
    // One label is enough to find it by.
    const auto& [key, value] = *spec.labels.rbegin();
    by_label_[key][value].Add(rule, compiled);
  } else {
    anywhere_.Add(rule, compiled);
  }
}

template <typename Visit>
void RuleIndex::Buckets(std::string_view connection, const Labels* labels, Visit visit) const {
  visit(anywhere_);
  if (auto at = by_connection_.find(connection); at != by_connection_.end()) visit(at->second);
  if (labels == nullptr || by_label_.empty()) return;
  for (const auto& [key, value] : *labels) {
    auto values = by_label_.find(key);
    if (values == by_label_.end()) continue;
    if (auto at = values->second.find(value); at != values->second.end()) visit(at->second);
  }
}

std::vector<uint32_t> RuleIndex::Candidates(std::string_view connection, const Labels* labels,
                                            op::Verb verb, std::string_view resource) const {
  std::vector<uint32_t> out;
  Buckets(connection, labels, [&](const Bucket& bucket) { bucket.Collect(verb, resource, out); });
  Order(out);
  return out;
}

std::vector<uint32_t> RuleIndex::OfConnection(std::string_view connection,
                                              const Labels* labels) const {
  std::vector<uint32_t> out;
  Buckets(connection, labels, [&](const Bucket& bucket) { Append(bucket.all, out); });
  Order(out);
  return out;
}

}  // namespace sallyport::policy
