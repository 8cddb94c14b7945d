#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "json/document.h"
#include "policy/arg_match.h"
#include "policy/decimal.h"

namespace re2 {
class RE2;
}

namespace sallyport::policy {

/// The argument conditions of all rules, turned round: from the arguments to the rules whose
/// conditions they meet, so that a thousand rules about one tool cost one walk over the arguments
/// and not a thousand. The conditions stand in a tree of paths; equal values are found by hash,
/// thresholds by binary search, patterns all at once. Immutable once sealed, thread-safe.
///
/// It only counts: whatever is left is read once more by ArgConditions, which alone says what
/// matches and why.
class ArgIndex {
 public:
  ArgIndex();
  ~ArgIndex();
  ArgIndex(ArgIndex&&) noexcept;
  ArgIndex& operator=(ArgIndex&&) noexcept;

  /// Rules are added in order, those without conditions too. `holding_back`: the rule takes an
  /// argument of another type than it speaks of as matching.
  void Add(const ArgConditions& conditions, bool holding_back);
  /// To be called once, after the last Add.
  void Seal();

  /// For each rule how many of its conditions keep it from matching; zero: none does.
  std::vector<int32_t> Open(json::Value arguments) const;

 private:
  using Rules = std::vector<uint32_t>;
  struct Node;
  struct PatternTests;
  struct Tests;
  Node& NodeOf(const std::vector<std::string>& path);
  static void AddTests(Node& node, uint32_t rule, const ArgConditions::Condition& condition,
                       bool holding_back);
  static void SealNode(Node& node);
  static void Visit(const Node& node, json::Value value, std::vector<int32_t>& open);

  std::unique_ptr<Node> root_;
  std::vector<int32_t> base_;  // the counts if no argument is there
};

}  // namespace sallyport::policy
