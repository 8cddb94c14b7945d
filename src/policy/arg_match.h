#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "json/document.h"
#include "policy/decimal.h"
#include "policy/rules.h"

namespace re2 {
class RE2;
}

namespace sallyport::policy {

/// Whether a condition holds. `unsure`: the argument is there, but of another type than the rule
/// speaks of, so nobody can say what the tool will make of it. A rule that allows reads `unsure` as
/// no, a rule that denies or asks for approval reads it as yes (fail closed).
enum class Fit : uint8_t { no, unsure, yes };

/// The part of a rule that looks at the arguments, compiled. Immutable, thread-safe.
class ArgConditions {
 public:
  static constexpr size_t kMaxPatternBytes = 1024;
  static constexpr size_t kMaxPathDepth = 16;

  /// config_invalid with what is wrong and what to write instead.
  static Result<ArgConditions> Make(const std::vector<ArgMatcher>& matchers);

  bool empty() const { return conditions_.empty(); }

  /// All conditions together: no if one says no, else unsure if one is. `failed` gets the index of
  /// the condition that said the result, for an explanation.
  Fit Evaluate(json::Value arguments, size_t* failed = nullptr) const;

 private:
  friend class ArgIndex;
  struct Literal {
    json::Kind kind = json::Kind::missing;
    std::string text;  // decoded, of a string
    bool truth = false;
    Decimal number;
  };
  struct Condition {
    std::vector<std::string> path;
    ArgMatcher::Test test = ArgMatcher::Test::eq;
    std::vector<Literal> literals;
    std::shared_ptr<const re2::RE2> pattern;
  };
  static Result<Condition> MakeCondition(const ArgMatcher& matcher);
  static Result<Literal> MakeLiteral(const std::string& json_text);
  static Fit Equals(const Condition& condition, json::Value value);
  static Fit Compares(const Condition& condition, json::Value value);
  static Fit EvaluateOne(const Condition& condition, json::Value arguments);

  std::vector<Condition> conditions_;
};

/// A part of a path as the index of an element: "0", "17". nullopt: a name, or an index that is
/// written in another way than the shortest one.
std::optional<uint32_t> AsIndex(std::string_view text);

/// The configuration's word for a test: "lte". Static lifetime.
std::string_view TestName(ArgMatcher::Test test);

}  // namespace sallyport::policy
