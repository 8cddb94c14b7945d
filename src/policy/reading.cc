#include "policy/reading.h"

#include <algorithm>

namespace sallyport::policy {
namespace {

void ReadSqlOfGrant(const Rule& rule, const Question& question, Reading& reading) {
  if (rule.sql && question.operation.sql.empty()) {
    // The rule speaks of statements, and nobody has read any here: it cannot let this through.
    reading.step = Reading::Step::sql;
    return;
  }
  for (const auto* statement : question.statements) {
    auto objection = Grants(rule, *statement);
    if (!objection) continue;
    if (reading.uncovered++ == 0) reading.objection = objection;
  }
  if (reading.uncovered != 0 && reading.uncovered == question.statements.size()) {
    reading.step = Reading::Step::sql;
  }
}

void ReadSqlOfHold(const Rule& rule, const Question& question, Reading& reading) {
  if (!rule.sql || question.operation.sql.empty()) return;
  bool narrow = rule.spec.effect == op::Verdict::deny;
  bool any = std::ranges::any_of(question.statements, [&](const op::SqlStatement* statement) {
    return rule.sql->Triggers(*statement, narrow);
  });
  if (!any) reading.step = Reading::Step::sql;
}

}  // namespace

Question::Question(const WhoTable& table, const op::Principal& principal,
                   const op::Operation& asked)
    : who(principal), operation(asked), selectors(table.Of(principal)) {
  for (const auto& text : asked.sql) {
    for (const auto& statement : text.statements) statements.push_back(&statement);
  }
}

SqlObjection Grants(const Rule& rule, const op::SqlStatement& statement) {
  if (rule.sql) return rule.sql->Grants(statement);
  // A person sees the statement before it runs.
  if (rule.spec.effect == op::Verdict::approve) return {};
  return GrantsReading(statement);
}

bool SpeaksAsGrant(const Rule& rule, const Question& question) {
  const auto& operation = question.operation;
  if (rule.sql && operation.sql.empty()) return false;
  return rule.Names(operation.verb, operation.resource, !operation.sql.empty(), false);
}

bool Names(const Rule& rule, const op::Operation& operation) {
  return rule.ForConnection(operation.connection, operation.labels) &&
         rule.Names(operation.verb, operation.resource, !operation.sql.empty(),
                    rule.spec.effect != op::Verdict::allow);
}

Reading Read(const Rule& rule, const Question& question, bool arguments_hold) {
  const op::Operation& operation = question.operation;
  bool holding_back = rule.spec.effect != op::Verdict::allow;
  if (!rule.ForWho(question.selectors)) return {.step = Reading::Step::who};
  if (!rule.ForConnection(operation.connection, operation.labels))
    return {.step = Reading::Step::connection};
  if (!rule.Names(operation.verb, operation.resource, !operation.sql.empty(), holding_back)) {
    return {.step = Reading::Step::name};
  }
  Reading reading;
  if (!rule.args.empty() && !arguments_hold) {
    Fit fit = rule.args.Evaluate(operation.arguments, &reading.argument);
    reading.mismatch = fit == Fit::unsure;
    if (fit == Fit::no || (fit == Fit::unsure && !holding_back)) {
      reading.step = Reading::Step::args;
      return reading;
    }
  }
  if (holding_back) {
    ReadSqlOfHold(rule, question, reading);
  } else {
    ReadSqlOfGrant(rule, question, reading);
  }
  return reading;
}

}  // namespace sallyport::policy
