#pragma once

#include <memory>
#include <string_view>

#include "json/document.h"
#include "sql/classify.h"

namespace sallyport::sql {

/// A text as PostgreSQL's grammar reads it. Every node with a `location` names a byte of the text.
class ParseTree {
 public:
  /// Null: what the grammar cannot read, is not UTF-8, holds a NUL, or is beyond the limits. Never
  /// crashes on deep input. Thread-safe.
  static std::unique_ptr<const ParseTree> Make(std::string_view text, const Limits& limits);
  ~ParseTree();
  ParseTree(const ParseTree&) = delete;

  /// {"stmt": {"SelectStmt": {…}}} each.
  json::Value statements() const { return document_.root()["stmts"]; }

 private:
  ParseTree() = default;
  struct Result;
  std::unique_ptr<Result> result_;
  json::Document document_;
};

/// What each statement does and touches, as its text alone says; see Classify().
op::SqlText ReadStatements(const ParseTree& tree);

/// NUL ends a C string, and what is not UTF-8 means something else to a server: both would let the
/// server see another text than the parser.
bool IsText(std::string_view text);

}  // namespace sallyport::sql
