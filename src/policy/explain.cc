#include "policy/explain.h"

#include <array>
#include <utility>

#include "policy/survey.h"

namespace sallyport::policy {
namespace {

using Step = Reading::Step;

std::string_view StepName(Step step) {
  switch (step) {
    case Step::who:
      return "who";
    case Step::connection:
      return "connection";
    case Step::name:
      return "name";
    case Step::args:
      return "args";
    case Step::sql:
      return "sql";
    case Step::matched:
      return "matched";
  }
  return "?";
}

std::string Join(const std::vector<std::string>& list) {
  std::string out;
  for (const auto& item : list) out.append(out.empty() ? "" : ", ").append(item);
  return out;
}

std::string WhyNotName(const Rule& rule, op::Verb verb) {
  if (rule.tools && verb == op::Verb::tool_call) return "its tools are " + Join(*rule.spec.tools);
  if (rule.prompts && verb == op::Verb::prompt_get)
    return "its prompts are " + Join(*rule.spec.prompts);
  if (rule.resources && (verb == op::Verb::resource_read || verb == op::Verb::resource_subscribe)) {
    return "its resources are " + Join(*rule.spec.resources);
  }
  std::string about;
  for (auto [there, what] :
       {std::pair(rule.tools.has_value(), "tools"), std::pair(rule.prompts.has_value(), "prompts"),
        std::pair(rule.resources.has_value(), "resources"),
        std::pair(rule.sql.has_value(), "SQL")}) {
    if (there) about.append(about.empty() ? "" : ", ").append(what);
  }
  return "it speaks of " + about + " only";
}

std::string WhyNotArgs(const Rule& rule, const Reading& reading) {
  const ArgMatcher& matcher = rule.spec.args[reading.argument];
  std::string out = "argument \"" + matcher.path + "\" ";
  if (reading.mismatch)
    return out + "is of another type than " + std::string(TestName(matcher.test)) + " compares";
  switch (matcher.test) {
    case ArgMatcher::Test::absent:
      return out + "is there";
    case ArgMatcher::Test::present:
      return out + "is not there";
    case ArgMatcher::Test::in:
      return out + "is not there or not one of " + Join(matcher.values);
    default:
      return out + "is not there or not " + std::string(TestName(matcher.test)) + " " +
             Join(matcher.values);
  }
}

std::string WhyNotConnection(const Rule& rule) {
  if (!rule.spec.connection.empty()) return "its connection is " + rule.spec.connection;
  std::string labels;
  for (const auto& [key, value] : rule.spec.labels)
    labels.append(labels.empty() ? "" : ", ").append(key + "=" + value);
  return "the connection does not have the labels " + labels;
}

std::string WhyNotSql(const Rule& rule, const Reading& reading, const Question& question) {
  if (rule.spec.effect != op::Verdict::allow) return "no statement is what it speaks of";
  if (question.operation.sql.empty()) return "it speaks of SQL, and no SQL argument is known here";
  return "it covers no statement: " + Describe(reading.objection);
}

std::string WhyMatched(const Rule& rule, const Reading& reading, const Question& question) {
  if (reading.mismatch)
    return "it holds back what is of another type than it speaks of (" + WhyNotArgs(rule, reading) +
           ")";
  if (reading.uncovered != 0) {
    return "it covers " + std::to_string(question.statements.size() - reading.uncovered) + " of " +
           std::to_string(question.statements.size()) +
           " statements: " + Describe(reading.objection);
  }
  return "every condition holds";
}

RuleTrace Trace(const Rule& rule, const Question& question) {
  Reading reading = Read(rule, question);
  RuleTrace trace{.rule = rule.spec.id,
                  .effect = rule.spec.effect,
                  .matched = reading.matched(),
                  .step = StepName(reading.step)};
  switch (reading.step) {
    case Step::who:
      trace.reason = "it is about " + Join(rule.spec.who);
      break;
    case Step::connection:
      trace.reason = WhyNotConnection(rule);
      break;
    case Step::name:
      trace.reason = WhyNotName(rule, question.operation.verb);
      break;
    case Step::args:
      trace.reason = WhyNotArgs(rule, reading);
      break;
    case Step::sql:
      trace.reason = WhyNotSql(rule, reading, question);
      break;
    case Step::matched:
      trace.reason = WhyMatched(rule, reading, question);
      break;
  }
  return trace;
}

}  // namespace

std::string_view VerdictName(op::Verdict verdict) {
  switch (verdict) {
    case op::Verdict::allow:
      return "allow";
    case op::Verdict::approve:
      return "approve";
    case op::Verdict::deny:
      return "deny";
  }
  return "?";
}

Explanation Explain(const RuleSet& rules, const op::Principal& who,
                    const op::Operation& operation) {
  Explanation out{.decision = rules.Decide(who, operation)};
  Question question(rules.impl().table, who, operation);
  for (const auto& rule : rules.impl().rules) out.rules.push_back(Trace(rule, question));
  return out;
}

}  // namespace sallyport::policy
