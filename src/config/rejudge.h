#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/result.h"
#include "config/recorded_call.h"
#include "config/schema.h"
#include "policy/glob.h"
#include "policy/rules.h"
#include "sql/analyze.h"

namespace sallyport::config {

/// What the rules say of a recorded operation.
struct Judgement {
  std::optional<op::Verdict> verdict;  // nullopt: cannot be told
  std::string_view unknown;            // why not; static
  Errc reason = Errc::internal;        // of a denial
  std::vector<std::string> rules;
  std::string why;
  bool assumed_public = false;  // a name without a schema decided, read as one of `public`
};

/// Judges recorded operations by the rules of one configuration. What is alike is judged once. Not
/// thread-safe; `root` has to outlive it.
class Rejudge {
 public:
  using VerbOf = std::function<std::optional<op::Verb>(std::string_view method)>;
  /// config_invalid: rules that cannot be compiled.
  static Result<std::unique_ptr<Rejudge>> Make(const Root& root, VerbOf verb_of);

  /// Valid until the next call.
  const Judgement& Of(const RecordedCall& call);
  const policy::RuleSet& rules() const { return *rules_; }
  uint64_t judged_anew() const { return judged_anew_; }

 private:
  struct SqlRule {
    policy::Glob tool;
    std::vector<std::string> path;
  };
  struct Place;
  struct Question;

  Rejudge(const Root& root, VerbOf verb_of) : root_(root), verb_of_(std::move(verb_of)) {}
  Judgement Judge(const RecordedCall& call);
  void ReadTool(const RecordedCall& call, const Connection& connection, Question& question);
  std::string_view ReadStatement(const RecordedCall& call, Question& question);
  op::Decision Decide(const Question& question, const op::Operation& operation) const;
  Judgement Settle(const RecordedCall& call, const Question& question, op::Decision decision) const;
  std::string_view Doubt(const RecordedCall& call, const Question& question,
                         const op::Decision& decision, bool& assumed_public) const;
  std::string_view DoubtOfArguments(const Question& question, const op::Decision& decision) const;
  op::SqlText Read(std::string_view text);

  const Root& root_;
  VerbOf verb_of_;
  std::shared_ptr<const policy::RuleSet> rules_;
  std::unordered_map<std::string_view, const Connection*> connections_;
  std::unordered_map<const Connection*, std::vector<SqlRule>> sql_rules_;
  std::unordered_map<std::string_view, const policy::RuleSpec*> specs_;
  sql::Analyzer analyzer_{sql::Analyzer::Options{}};
  std::unordered_map<std::string, op::SqlText> shapes_;
  std::unordered_map<std::string, Judgement> known_;
  std::string key_;
  uint64_t judged_anew_ = 0;
};

}  // namespace sallyport::config
