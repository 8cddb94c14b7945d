#include "sql/tree.h"

#include "sql/walker.h"

namespace sallyport::sql {
namespace {

/// Whether the value of an expression can differ from row to row, or is not in the text.
bool Varies(json::Value value) {
  for (auto v = value.first(); v; v = v.next()) {
    auto key = v.key();
    if (key == "ColumnRef" || key == "SubLink" || key == "ParamRef" || key == "CurrentOfExpr")
      return true;
    if (Varies(v)) return true;
  }
  return false;
}

bool ComparesWithItself(json::Value expression) {
  auto left = expression["lexpr"]["ColumnRef"]["fields"];
  auto right = expression["rexpr"]["ColumnRef"]["fields"];
  return left && right && left.raw() == right.raw();
}

}  // namespace

std::string Identifier(std::string_view name) {
  if (name.find_first_of(".\"") == std::string_view::npos) return std::string(name);
  std::string out = "\"";
  for (char c : name) {
    if (c == '"') out += '"';
    out += c;
  }
  return out + "\"";
}

bool CanRestrict(json::Value condition) {
  if (!condition || !Varies(condition)) return false;
  if (auto expression = condition["A_Expr"]) return !ComparesWithItself(expression);
  auto boolean = condition["BoolExpr"];
  if (!boolean) return true;
  bool any = boolean["boolop"].string() == "OR_EXPR";
  bool result = any;
  for (auto arm = boolean["args"].first(); arm; arm = arm.next()) {
    // `a or true` lets every row through; `a and true` is as good as a.
    result = any ? result && CanRestrict(arm) : result || CanRestrict(arm);
  }
  return result;
}

std::optional<op::SqlStatement> ReadStatement(json::Value node) {
  op::SqlStatement out;
  out.effect = op::Effect::none;
  auto body = node.first();
  if (!body) {
    out.kind = "OTHER";
    out.effect = op::Effect::admin;
    return out;
  }
  Scope root;
  Walker walker(out);
  bool unbounded = walker.Statement(body.key(), body, root, true);
  if (walker.overflow()) return std::nullopt;
  out.unbounded |= unbounded;
  return out;
}

}  // namespace sallyport::sql
