#include "sql/classify.h"

#include <algorithm>

#include "sql/parse.h"
#include "sql/tree.h"

namespace sallyport::sql {
namespace {

constexpr size_t kMaxStatements = 1000;

op::SqlText Unreadable() {
  op::SqlText text;
  text.known = {.complete = false, .reason = "sql-unparsable"};
  text.worst = op::Effect::admin;
  return text;
}

}  // namespace

op::SqlText Classify(std::string_view text, const Limits& limits) {
  auto tree = ParseTree::Make(text, limits);
  return tree ? ReadStatements(*tree) : Unreadable();
}

op::SqlText ReadStatements(const ParseTree& tree) {
  op::SqlText out;
  out.worst = op::Effect::none;
  auto statements = tree.statements();
  if (statements.size() > kMaxStatements) return Unreadable();
  for (auto raw = statements.first(); raw; raw = raw.next()) {
    auto statement = ReadStatement(raw["stmt"]);
    if (!statement) return Unreadable();
    out.statements.push_back(std::move(*statement));
    out.worst = std::max(out.worst, out.statements.back().effect);
  }
  return out;
}

}  // namespace sallyport::sql
