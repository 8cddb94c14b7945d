#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "op/operation.h"
#include "op/session.h"
#include "policy/arg_match.h"
#include "policy/glob.h"
#include "policy/rules.h"
#include "policy/sql_match.h"

// What Compile makes of the rules, shared by Decide (rules.cc) and Explain (explain.cc), so that an
// explanation can only say what the decision did.

namespace sallyport::policy {

/// The selectors of all `who` lists ("group:support"), each with a number.
class WhoTable {
 public:
  /// The number of `selector`; a new one if it was not seen before. "any" is not a selector.
  uint32_t Add(std::string_view selector);

  /// Which selectors hold for one principal: a set of numbers.
  class Set {
   public:
    bool Has(uint32_t id) const { return (bits_[id / 64] >> (id % 64) & 1) != 0; }

   private:
    friend class WhoTable;
    std::vector<uint64_t> bits_;
  };
  Set Of(const op::Principal& who) const;

 private:
  struct Hash {
    using is_transparent = void;
    size_t operator()(std::string_view s) const { return std::hash<std::string_view>{}(s); }
  };
  using Ids = std::unordered_map<std::string, uint32_t, Hash, std::equal_to<>>;
  void Mark(const Ids& ids, std::string_view name, Set& set) const;

  Ids groups_, users_, agents_;
  uint32_t size_ = 0;
};

/// One rule, compiled.
struct Rule {
  RuleSpec spec;
  bool anyone = false;
  bool by_group = false;  // some selector is a group
  std::vector<uint32_t> who;
  std::optional<std::vector<Glob>> tools, prompts, resources;
  ArgConditions args;
  std::optional<SqlConditions> sql;

  bool ForWho(const WhoTable::Set& set) const;
  bool ForConnection(std::string_view connection,
                     const std::map<std::string, std::string>* labels) const;
  /// Whether the rule speaks of this resource. `holding_back` is for rules that deny or ask for
  /// approval: one with a `sql` part and no names then also speaks of tool calls that carry SQL.
  bool Names(op::Verb verb, std::string_view resource, bool has_sql, bool holding_back) const;
  /// Decides by name alone: no condition on arguments or SQL.
  bool unconditional() const { return args.empty() && !sql; }
};

/// config_invalid for whatever CheckRule says of it.
Result<Rule> CompileRule(const RuleSpec& spec, WhoTable& table);

/// Names longer than this are not compared with patterns: the operation is refused.
inline constexpr size_t kMaxResourceBytes = 8192;

}  // namespace sallyport::policy
