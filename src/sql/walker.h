#pragma once

#include <algorithm>
#include <initializer_list>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "json/document.h"
#include "op/operation.h"
#include "sql/scope.h"

namespace sallyport::sql {

/// Collects what one statement touches. Used by tree.cc only.
///
/// Nodes are recognised by what they contain, because the same node stands wrapped ({"RangeVar":
/// {…}}) or bare
/// ("relation": {…}) depending on where it is used.
class Walker {
 public:
  explicit Walker(op::SqlStatement& out) : out_(out) {}

  /// Anything: descends, and dispatches to the functions below.
  void Any(json::Value value, const Scope& scope);

  /// A statement that may stand inside another; adds to out_.nested unless `top`. Returns whether
  /// it is a query that gives all rows of some relation.
  bool Statement(std::string_view node, json::Value body, const Scope& scope, bool top);

  /// More names than a statement of good faith has (kMaxColumns and the like): it must not be
  /// judged by a part of them.
  bool overflow() const { return overflow_; }

 private:
  static constexpr size_t kMaxRelations = 256, kMaxColumns = 5000, kMaxFunctions = 1000;

  bool Select(json::Value body, const Scope& outer);
  bool SelectArms(json::Value body, const Scope& scope);
  void With(json::Value clause, Scope& scope);
  void From(json::Value item, Scope& scope);
  void FromRelation(json::Value range_var, Scope& scope);
  void FromJoin(json::Value join, Scope& scope);
  void FromRows(json::Value item, Scope& scope, bool unbounded);
  void Insert(json::Value body, const Scope& outer);
  void Update(json::Value body, const Scope& outer);
  void Delete(json::Value body, const Scope& outer);
  void Merge(json::Value body, const Scope& outer);
  void Copy(json::Value body, const Scope& outer);
  void Explain(json::Value body, const Scope& outer);
  void Set(json::Value body);
  void Transaction(json::Value body);
  void Drop(json::Value body);
  void Inner(json::Value query, const Scope& scope, bool runs);

  void Column(json::Value reference, const Scope& scope);
  void Function(json::Value call, const Scope& scope);
  void Operator(json::Value names);
  void Members(json::Value object, const Scope& scope,
               std::initializer_list<std::string_view> except = {});
  std::string Relation(json::Value range_var, bool written);
  void Target(json::Value range_var, Scope& scope);
  void TargetColumns(json::Value list, const std::string& relation, const Scope& scope);
  void AddColumn(std::string_view relation, std::string_view column);
  void Nest(std::string_view kind);
  void AddFunction(const std::string& name, bool risky);
  void AddRelation(const std::string& name, bool written);
  void Raise(op::Effect effect) { out_.effect = std::max(out_.effect, effect); }

  op::SqlStatement& out_;
  bool overflow_ = false;
  std::unordered_set<std::string> columns_, functions_;
  std::unordered_map<std::string, size_t> relations_;  // index in out_.relations
  bool rows_ = false;  // a sub-select that was just read gives all rows of some relation
};

}  // namespace sallyport::sql
