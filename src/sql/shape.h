#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "sql/analyze.h"
#include "sql/lexer.h"
#include "sql/rewrite.h"

namespace sallyport::sql {

/// A text whose literals are left out: two texts of one shape are the same token by token but for
/// the values of numbers and strings. Reused from text to text; not shared by threads.
class Shape {
 public:
  /// False: the text has none, because a literal could change how the rest is read, or because it
  /// is not a query or change of rows. Reading it is linear in its length.
  bool Read(std::string_view text);

  /// The text with a mark for each literal: equal for texts of one shape only.
  const std::string& key() const { return key_; }
  /// The same place in the key, for a place in the text outside of literals; and back.
  size_t ToKey(size_t at) const;
  size_t ToText(size_t at) const;

 private:
  std::vector<Token> tokens_;
  std::vector<Token> literals_;
  std::string key_;
};

/// What is remembered of a shape.
struct ShapeAnswer {
  AnalysisPtr analysis;         // of the text that came first
  std::vector<Splice> splices;  // of a rewritten one; begin and end are places in the key
};

/// `splices` of a text, as places in its key.
std::vector<Splice> ToKey(const Shape& shape, std::vector<Splice> splices);
/// The answer for `text`, which has the same shape.
AnalysisPtr AnswerFor(const ShapeAnswer& answer, const Shape& shape, std::string_view text);

}  // namespace sallyport::sql
