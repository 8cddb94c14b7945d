#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "op/operation.h"
#include "policy/compiled.h"
#include "policy/glob.h"

namespace sallyport::policy {

/// Names and patterns of names, each with the rules that carry it.
class NameIndex {
 public:
  void Add(uint32_t rule, const std::vector<Glob>& globs);
  /// Appends the rules that may name `name`: a superset, perhaps with repetitions.
  void Collect(std::string_view name, std::vector<uint32_t>& out) const;

 private:
  static constexpr size_t kKey = 31;  // bytes of a pattern's beginning or end that are looked at
  struct Hash {
    using is_transparent = void;
    size_t operator()(std::string_view s) const { return std::hash<std::string_view>{}(s); }
  };
  using Names = std::unordered_map<std::string, std::vector<uint32_t>, Hash, std::equal_to<>>;
  Names literal_;              // named in full
  Names prefix_;               // patterns, by up to kKey of their first bytes
  Names suffix_;               // patterns that begin with a wildcard, by their last bytes
  uint32_t prefix_sizes_ = 0;  // bit n: some key of `prefix_` has n bytes
  uint32_t suffix_sizes_ = 0;
  std::vector<uint32_t> other_;  // patterns with wildcards at both ends
};

/// Finds the rules that may speak of an operation without looking at all of them: by connection or
/// one label, and by the name of what is asked for. What it returns is a superset, in the order of
/// the file. Immutable once built, thread-safe.
class RuleIndex {
 public:
  using Labels = std::map<std::string, std::string>;
  void Add(uint32_t rule, const Rule& compiled);

  std::vector<uint32_t> Candidates(std::string_view connection, const Labels* labels, op::Verb verb,
                                   std::string_view resource) const;
  /// All rules that may apply to the connection, whatever they name.
  std::vector<uint32_t> OfConnection(std::string_view connection, const Labels* labels) const;

 private:
  struct Bucket {
    std::vector<uint32_t> all;
    NameIndex tools, prompts, resources;
    std::vector<uint32_t> nameless;  // rules that name nothing
    std::vector<uint32_t> sql;       // rules with an `sql` part
    void Add(uint32_t rule, const Rule& compiled);
    void Collect(op::Verb verb, std::string_view resource, std::vector<uint32_t>& out) const;
  };
  template <typename Visit>
  void Buckets(std::string_view connection, const Labels* labels, Visit visit) const;

  std::map<std::string, Bucket, std::less<>> by_connection_;
  std::map<std::string, std::map<std::string, Bucket>> by_label_;  // one label of each rule
  Bucket anywhere_;
};

}  // namespace sallyport::policy
