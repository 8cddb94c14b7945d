#include "policy/arg_match.h"

#include <algorithm>
#include <re2/re2.h>

namespace sallyport::policy {
namespace {

using Test = ArgMatcher::Test;

bool IsOrder(Test t) { return t == Test::lt || t == Test::lte || t == Test::gt || t == Test::gte; }

Result<std::vector<std::string>> SplitPath(const std::string& path) {
  std::vector<std::string> parts;
  // A leading slash makes it a JSON pointer without escapes: the way to name a key that has a dot
  // in it.
  bool pointer = path.starts_with('/');
  char separator = pointer ? '/' : '.';
  for (size_t begin = pointer ? 1 : 0; begin <= path.size();) {
    auto end = std::min(path.find(separator, begin), path.size());
    if (end == begin) return Fail(Errc::config_invalid, "the argument path has an empty part");
    parts.push_back(path.substr(begin, end - begin));
    if (parts.back() == "*") {
      return Fail(Errc::config_invalid,
                  "an argument path has no wildcard; name the element (items.0.id)");
    }
    begin = end + 1;
  }
  if (parts.empty()) return Fail(Errc::config_invalid, "the argument path is empty");
  if (parts.size() > ArgConditions::kMaxPathDepth) {
    return Fail(Errc::config_invalid, "the argument path has more than 16 parts");
  }
  return parts;
}

struct Found {
  json::Value value;      // missing: not there
  bool mismatch = false;  // a part of the path led into something that has no members
};

Found Walk(json::Value at, const std::vector<std::string>& path) {
  if (!at) return {};
  for (const auto& part : path) {
    if (at.is(json::Kind::object)) {
      at = at[part];
    } else if (at.is(json::Kind::array)) {
      auto index = AsIndex(part);
      if (!index) return {.mismatch = true};
      at = at.at(*index);
    } else {
      return {.mismatch = true};
    }
    if (!at) return {};
  }
  return {.value = at};
}

}  // namespace

std::optional<uint32_t> AsIndex(std::string_view text) {
  if (text.empty() || text.size() > 9 || (text.size() > 1 && text[0] == '0')) return std::nullopt;
  uint32_t value = 0;
  for (char c : text) {
    if (c < '0' || c > '9') return std::nullopt;
    value = value * 10 + static_cast<uint32_t>(c - '0');
  }
  return value;
}

std::string_view TestName(Test test) {
  switch (test) {
    case Test::eq:
      return "eq";
    case Test::in:
      return "in";
    case Test::lt:
      return "lt";
    case Test::lte:
      return "lte";
    case Test::gt:
      return "gt";
    case Test::gte:
      return "gte";
    case Test::matches:
      return "matches";
    case Test::absent:
      return "absent";
    case Test::present:
      return "present";
  }
  return "?";
}

Result<ArgConditions::Literal> ArgConditions::MakeLiteral(const std::string& json_text) {
  SALLYPORT_TRY(auto document,
                json::Document::Parse(json_text, {.max_bytes = 64 << 10, .max_depth = 2}));
  auto value = document.root();
  Literal literal{.kind = value.kind()};
  switch (value.kind()) {
    case json::Kind::string:
      literal.text = std::string(value.string().value_or(""));
      break;
    case json::Kind::boolean:
      literal.truth = value.boolean().value_or(false);
      break;
    case json::Kind::null:
      break;
    case json::Kind::number: {
      auto number = Decimal::Parse(value.raw());
      if (!number) return Fail(Errc::config_invalid, "the number is out of range");
      literal.number = std::move(*number);
      break;
    }
    default:
      return Fail(Errc::config_invalid,
                  "an argument is compared with one plain value, not a list or map");
  }
  return literal;
}

Result<ArgConditions::Condition> ArgConditions::MakeCondition(const ArgMatcher& matcher) {
  Condition condition{.test = matcher.test};
  SALLYPORT_TRY(condition.path, SplitPath(matcher.path));
  if (matcher.test == Test::absent || matcher.test == Test::present) return condition;
  std::string name(TestName(matcher.test));
  if (matcher.values.empty() || (matcher.test != Test::in && matcher.values.size() != 1)) {
    return Fail(Errc::config_invalid, matcher.test == Test::in ? "in needs at least one value"
                                                               : name + " needs exactly one value");
  }
  if (matcher.test == Test::matches) {
    const auto& pattern = matcher.values[0];
    if (pattern.size() > kMaxPatternBytes) {
      return Fail(Errc::config_invalid, "the regular expression is longer than 1024 bytes");
    }
    re2::RE2::Options options;
    options.set_log_errors(false);
    options.set_max_mem(1 << 20);
    auto compiled = std::make_shared<re2::RE2>(pattern, options);
    if (!compiled->ok()) {
      return Fail(Errc::config_invalid,
                  "the regular expression cannot be used: " + compiled->error() +
                      " (RE2 syntax; it always matches the whole value)");
    }
    condition.pattern = std::move(compiled);
    return condition;
  }
  for (const auto& text : matcher.values) {
    SALLYPORT_TRY(auto literal, MakeLiteral(text));
    if (IsOrder(matcher.test) && literal.kind != json::Kind::number) {
      return Fail(Errc::config_invalid,
                  name + " compares numbers: write one without quotes, such as 100");
    }
    condition.literals.push_back(std::move(literal));
  }
  return condition;
}

Result<ArgConditions> ArgConditions::Make(const std::vector<ArgMatcher>& matchers) {
  ArgConditions all;
  for (const auto& matcher : matchers) {
    auto condition = MakeCondition(matcher);
    if (!condition) {
      return Fail(Errc::config_invalid,
                  "argument \"" + matcher.path + "\": " + condition.error().detail);
    }
    all.conditions_.push_back(std::move(*condition));
  }
  return all;
}

Fit ArgConditions::Equals(const Condition& condition, json::Value value) {
  bool same_kind = false;
  std::optional<Decimal> number;
  if (value.is(json::Kind::number)) number = Decimal::Parse(value.raw());
  for (const auto& literal : condition.literals) {
    if (literal.kind != value.kind()) continue;
    switch (value.kind()) {
      case json::Kind::string:
        same_kind = true;
        if (value.string() == literal.text) return Fit::yes;
        break;
      case json::Kind::boolean:
        same_kind = true;
        if (value.boolean() == literal.truth) return Fit::yes;
        break;
      case json::Kind::number:
        if (!number) return Fit::unsure;
        same_kind = true;
        if (*number == literal.number) return Fit::yes;
        break;
      case json::Kind::null:
        return Fit::yes;
      default:
        break;
    }
  }
  return same_kind ? Fit::no : Fit::unsure;
}

Fit ArgConditions::Compares(const Condition& condition, json::Value value) {
  if (!value.is(json::Kind::number)) return Fit::unsure;
  auto number = Decimal::Parse(value.raw());
  if (!number) return Fit::unsure;
  auto order = *number <=> condition.literals[0].number;
  bool holds = false;
  switch (condition.test) {
    case Test::lt:
      holds = order < 0;
      break;
    case Test::lte:
      holds = order <= 0;
      break;
    case Test::gt:
      holds = order > 0;
      break;
    default:
      holds = order >= 0;
      break;
  }
  return holds ? Fit::yes : Fit::no;
}

Fit ArgConditions::EvaluateOne(const Condition& condition, json::Value arguments) {
  auto found = Walk(arguments, condition.path);
  if (found.mismatch) return Fit::unsure;
  bool there(found.value);
  if (condition.test == Test::absent || condition.test == Test::present) {
    // Tools differ in whether null means "not given".
    if (there && found.value.is(json::Kind::null)) return Fit::unsure;
    return there == (condition.test == Test::present) ? Fit::yes : Fit::no;
  }
  if (!there) return Fit::no;
  switch (condition.test) {
    case Test::eq:
    case Test::in:
      return Equals(condition, found.value);
    case Test::matches: {
      auto text = found.value.string();
      if (!text) return Fit::unsure;
      return re2::RE2::FullMatch(re2::StringPiece(text->data(), text->size()), *condition.pattern)
                 ? Fit::yes
                 : Fit::no;
    }
    default:
      return Compares(condition, found.value);
  }
}

Fit ArgConditions::Evaluate(json::Value arguments, size_t* failed) const {
  Fit worst = Fit::yes;
  for (size_t i = 0; i < conditions_.size(); ++i) {
    Fit fit = EvaluateOne(conditions_[i], arguments);
    if (fit >= worst) continue;
    worst = fit;
    if (failed) *failed = i;
    if (worst == Fit::no) break;
  }
  return worst;
}

}  // namespace sallyport::policy
