#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "op/operation.h"
#include "op/session.h"
#include "policy/compiled.h"

namespace sallyport::policy {

/// One question to the rules, prepared once.
struct Question {
  Question(const WhoTable& table, const op::Principal& principal, const op::Operation& asked);

  const op::Principal& who;
  const op::Operation& operation;
  WhoTable::Set selectors;
  std::vector<const op::SqlStatement*> statements;  // of all texts
};

/// How one rule takes one question: the first thing that keeps it from matching, or `matched`.
struct Reading {
  enum class Step : uint8_t { who, connection, name, args, sql, matched };
  Step step = Step::matched;
  size_t argument = 0;     // Step::args: index of the condition
  bool mismatch = false;   // an argument was of another type than the rule speaks of
  SqlObjection objection;  // Step::sql of a rule that lets through: against its first statement
  size_t uncovered = 0;    // of a rule that lets through and matched: statements it does not cover
  bool matched() const { return step == Step::matched; }
  /// The rule speaks of this caller and resource, whatever else it says.
  bool names() const { return step > Step::name; }
};

/// Reads `rule` by its own effect: a rule that allows matches when it surely covers something, one
/// that holds back matches when it may mean something. `arguments_hold`: that is known already.
Reading Read(const Rule& rule, const Question& question, bool arguments_hold = false);

/// Whether the rule speaks of the connection and the resource.
bool Names(const Rule& rule, const op::Operation& operation);

/// What stands against `statement` if `rule`, whose other conditions hold, is to let it through.
SqlObjection Grants(const Rule& rule, const op::SqlStatement& statement);

/// Whether an approve rule lets the operation through once approved: then all of it has to be
/// named.
bool SpeaksAsGrant(const Rule& rule, const Question& question);

}  // namespace sallyport::policy
