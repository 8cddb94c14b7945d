#include "sql/shape.h"

#include <algorithm>
#include <array>

namespace sallyport::sql {
namespace {

constexpr size_t kMaxBytes = 16 << 10;
constexpr char kNumber = '\x01', kString = '\x02';  // no token begins with them

/// Statements whose meaning no literal changes, as far as text_analysis.cc does not say otherwise.
bool Begins(std::string_view word) {
  static constexpr auto kWords = std::to_array<std::string_view>(
      {"SELECT", "INSERT", "UPDATE", "DELETE", "WITH", "VALUES", "TABLE"});
  return std::ranges::any_of(kWords, [&](std::string_view known) {
    return std::ranges::equal(word, known, [](char a, char b) { return (a & ~0x20) == b; });
  });
}

}  // namespace

bool Shape::Read(std::string_view text) {
  bool plain = false;
  if (text.size() > kMaxBytes || !Tokenize(text, tokens_, plain) || !plain || tokens_.empty())
    return false;
  const auto& first = tokens_.front();
  if (first.kind != Token::Kind::word || !Begins(text.substr(first.begin, first.end - first.begin)))
    return false;
  literals_.clear();
  key_.clear();
  size_t at = 0;
  for (const auto& token : tokens_) {
    bool number = token.kind == Token::Kind::number;
    if (!number && token.kind != Token::Kind::string) continue;
    key_ += text.substr(at, token.begin - at);
    key_ += number ? kNumber : kString;
    at = token.end;
    literals_.push_back(token);
  }
  key_ += text.substr(at);
  return true;
}

size_t Shape::ToKey(size_t at) const {
  size_t key = at;
  for (const auto& literal : literals_) {
    if (literal.begin >= at) break;
    key -= literal.end - literal.begin - 1;
  }
  return key;
}

size_t Shape::ToText(size_t at) const {
  size_t text = at;
  for (const auto& literal : literals_) {
    if (literal.begin >= text) break;
    text += literal.end - literal.begin - 1;
  }
  return text;
}

std::vector<Splice> ToKey(const Shape& shape, std::vector<Splice> splices) {
  for (auto& splice : splices) {
    splice.begin = shape.ToKey(splice.begin);
    splice.end = shape.ToKey(splice.end);
  }
  return splices;
}

AnalysisPtr AnswerFor(const ShapeAnswer& answer, const Shape& shape, std::string_view text) {
  if (answer.analysis->route != Route::rewritten) return answer.analysis;
  auto splices = answer.splices;
  for (auto& splice : splices) {
    splice.begin = shape.ToText(splice.begin);
    splice.end = shape.ToText(splice.end);
  }
  auto out = std::make_shared<Analysis>(*answer.analysis);
  std::vector<Span> generated;
  out->sql = ApplySplices(text, splices, generated);
  return out;
}

}  // namespace sallyport::sql
