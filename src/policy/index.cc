#include "policy/index.h"

#include <algorithm>

namespace sallyport::policy {

void RuleIndex::Bucket::AddTools(uint32_t rule, const Rule& compiled) {
  if (!compiled.tools) {
    other.push_back(rule);
    return;
  }
  for (const auto& glob : *compiled.tools) {
    if (glob.literal()) {
      literal[glob.text()].push_back(rule);
    } else if (auto key = glob.prefix().substr(0, kPrefix); !key.empty()) {
      prefix[std::string(key)].push_back(rule);
      prefix_sizes |= 1u << key.size();
    } else if (auto end = glob.suffix(); !end.empty()) {
      auto tail = end.substr(end.size() - std::min(kPrefix, end.size()));
      suffix[std::string(tail)].push_back(rule);
      suffix_sizes |= 1u << tail.size();
    } else {
      other.push_back(rule);
    }
  }
}

void RuleIndex::Bucket::CollectTools(std::string_view tool, std::vector<uint32_t>& out) const {
  out.insert(out.end(), other.begin(), other.end());
  auto add = [&](const Names& names, std::string_view key) {
    if (auto at = names.find(key); at != names.end()) {
      out.insert(out.end(), at->second.begin(), at->second.end());
    }
  };
  add(literal, tool);
  for (size_t n = 1; n <= std::min(kPrefix, tool.size()); ++n) {
    if ((prefix_sizes >> n & 1) != 0) add(prefix, tool.substr(0, n));
    if ((suffix_sizes >> n & 1) != 0) add(suffix, tool.substr(tool.size() - n));
  }
}

void RuleIndex::Add(uint32_t rule, const Rule& compiled) {
  Bucket& bucket =
      compiled.spec.connection.empty() ? any_connection_ : by_connection_[compiled.spec.connection];
  bucket.all.push_back(rule);
  bucket.AddTools(rule, compiled);
}

std::vector<uint32_t> RuleIndex::Candidates(std::string_view connection, op::Verb verb,
                                            std::string_view resource) const {
  if (verb != op::Verb::tool_call) return OfConnection(connection);
  std::vector<uint32_t> out;
  any_connection_.CollectTools(resource, out);
  if (auto at = by_connection_.find(connection); at != by_connection_.end()) {
    at->second.CollectTools(resource, out);
  }
  if (!std::ranges::is_sorted(out)) std::ranges::sort(out);
  out.erase(std::ranges::unique(out).begin(), out.end());
  return out;
}

std::vector<uint32_t> RuleIndex::OfConnection(std::string_view connection) const {
  std::vector<uint32_t> out = any_connection_.all;
  if (auto at = by_connection_.find(connection); at != by_connection_.end()) {
    out.insert(out.end(), at->second.all.begin(), at->second.all.end());
  }
  if (!std::ranges::is_sorted(out)) std::ranges::sort(out);
  return out;
}

}  // namespace sallyport::policy
