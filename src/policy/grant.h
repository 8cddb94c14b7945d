#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "op/decision.h"
#include "op/operation.h"
#include "policy/arg_match.h"
#include "policy/glob.h"
#include "policy/sql_match.h"

namespace sallyport::policy {

/// What a session is limited to: one or more limits, each a line of `key=value` terms as
/// `sallyport login --only` takes it. Judged after the rules, and only of what they let through:
/// a grant takes away, it never gives. What no limit covers whole is refused (grant_exceeded).
///
/// It is made of the same matchers as rules. Immutable, thread-safe. docs/sessions.md
class Grant {
 public:
  static constexpr size_t kMaxLimits = 16;
  static constexpr size_t kMaxLimitBytes = 512;

  /// One limit a line. request_malformed: which limit, at which column, and what to write instead.
  static Result<std::shared_ptr<const Grant>> Parse(std::string_view lines);

  /// Takes from `decision`, one that lets `operation` through, what the limits do not cover: it
  /// becomes a denial, or names the limits that cover it. `session` names the grant in the log.
  void Narrow(const op::Operation& operation, std::string_view session,
              op::Decision& decision) const;
  /// Whether some limit covers this resource with some arguments or statements: what lists show.
  bool Visible(std::string_view connection, op::Verb verb, std::string_view resource) const;
  /// Whether some limit is about the connection.
  bool Mentions(std::string_view connection) const;

  /// Whether an operation is one that `uses` counts: not what only frames others (BEGIN,
  /// SET, SHOW).
  static bool Counts(const op::Operation& operation);

  size_t size() const { return limits_.size(); }
  /// The limits as they were written, and how many uses each has (0: any number).
  const std::string& text(size_t i) const { return limits_[i].text; }
  uint32_t uses(size_t i) const { return limits_[i].uses; }
  /// A limit for people: "connection orders-db; table public.payments; at most 100 rows a result".
  std::string Words(size_t i) const;

 private:
  struct Limit {
    std::string text;
    std::vector<Glob> connections, tools, prompts, resources;
    std::vector<RelationPattern> tables;
    std::vector<std::string> table_texts;
    std::vector<ArgMatcher> arguments;
    ArgConditions conditions;  // of `arguments`
    std::optional<op::Effect> most;
    uint64_t rows = 0;
    uint32_t uses = 0;

    bool Names(op::Verb verb, std::string_view resource) const;
    bool Covers(const op::Operation& operation) const;
    bool CoversSql(const op::SqlStatement& statement) const;
  };
  class Reader;

  std::vector<Limit> limits_;
};

/// Whether `text` holds as many digits in a row (blanks and dashes between them do not count) as a
/// card number has. What limits a session is shown and kept in clear.
bool HoldsLongNumber(std::string_view text);

}  // namespace sallyport::policy
