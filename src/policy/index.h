#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "op/operation.h"
#include "policy/compiled.h"

namespace sallyport::policy {

/// Finds the rules that may speak of an operation without looking at all of them: by connection,
/// and for tool calls by the tool's name or the beginning of a pattern. What it returns is a
/// superset, in the order of the file. Immutable once built, thread-safe.
class RuleIndex {
 public:
  void Add(uint32_t rule, const Rule& compiled);

  std::vector<uint32_t> Candidates(std::string_view connection, op::Verb verb,
                                   std::string_view resource) const;
  /// All rules that may apply to the connection, whatever they name.
  std::vector<uint32_t> OfConnection(std::string_view connection) const;

 private:
  static constexpr size_t kPrefix = 8;  // bytes of a pattern's beginning or end that are looked at
  struct Hash {
    using is_transparent = void;
    size_t operator()(std::string_view s) const { return std::hash<std::string_view>{}(s); }
  };
  using Names = std::unordered_map<std::string, std::vector<uint32_t>, Hash, std::equal_to<>>;
  struct Bucket {
    std::vector<uint32_t> all;
    Names literal;              // tools named in full
    Names prefix;               // tool patterns, by up to kPrefix of their first bytes
    Names suffix;               // patterns that begin with a wildcard, by their last bytes
    uint32_t prefix_sizes = 0;  // bit n: some key of `prefix` has n bytes
    uint32_t suffix_sizes = 0;
    std::vector<uint32_t> other;  // patterns with wildcards at both ends, rules that name no tools
    void AddTools(uint32_t rule, const Rule& compiled);
    void CollectTools(std::string_view tool, std::vector<uint32_t>& out) const;
  };
  std::unordered_map<std::string, Bucket, Hash, std::equal_to<>> by_connection_;
  Bucket any_connection_;
};

}  // namespace sallyport::policy
