// Decide finds its rules by indexes. Here stands beside it an evaluator that has none: it takes one
// rule after the other and reads it as docs/policy.md says. Both have to say the same about random
// rules and questions.

#include <cstdlib>
#include <gtest/gtest.h>
#include <random>
#include <re2/re2.h>

#include "json/document.h"
#include "policy/explain.h"
#include "policy/rules.h"

namespace sallyport::policy {
namespace {

using op::Verb;
using op::Verdict;
using Test = ArgMatcher::Test;

class Dice {
 public:
  explicit Dice(uint32_t seed) : random_(seed) {}
  size_t Below(size_t n) { return std::uniform_int_distribution<size_t>(0, n - 1)(random_); }
  bool OneIn(size_t n) { return Below(n) == 0; }
  template <typename T>
  const T& Of(const std::vector<T>& list) {
    return list[Below(list.size())];
  }

 private:
  std::mt19937 random_;
};

const std::vector<std::string> kScalars{"1",      "1.0",    "2",      "-1",    "1e2",     "100",
                                        "0",      "-0",     "0.5",    "true",  "false",   "null",
                                        R"("x")", R"("y")", R"("1")", R"("")", R"("xyz")"};
const std::vector<std::string> kPatterns{"x",   "[xy]+", ".*",   "y.", "",
                                         "x|1", "(?i)X", "xyz?", "z",  "[0-9]+"};
const std::vector<std::string> kPaths{"a",     "b",   "c",  "a.b",   "a.0",
                                      "a.1.b", "b.c", "/a", "a.b.c", "b.00"};
const std::vector<std::string> kNames{"t0", "t1", "u0", "tool_with_a_long_name_0"};
const std::vector<std::string> kGlobs{"t0",
                                      "t1",
                                      "t*",
                                      "*0",
                                      "*",
                                      "?0",
                                      "u*",
                                      "*o*",
                                      "tool_with_a_long_name_*",
                                      "tool_with_a_long_name_and_more_*"};
const std::vector<std::string> kWho{"any",     "group:g0", "group:g1", "group:g2",
                                    "user:u0", "user:u1",  "agent:a0"};

std::string RandomJson(Dice& dice, int depth) {
  size_t kind = depth == 0 ? 0 : dice.Below(4);
  if (kind < 2) return dice.Of(kScalars);
  std::string out = kind == 2 ? "[" : "{";
  for (const char* key : {"a", "b", "c"}) {
    if (dice.OneIn(3)) continue;
    if (out.size() > 1) out += ',';
    if (kind == 3) out.append("\"").append(key).append("\":");
    out += RandomJson(dice, depth - 1);
  }
  return out += kind == 2 ? ']' : '}';
}

ArgMatcher RandomMatcher(Dice& dice) {
  ArgMatcher matcher{.path = dice.Of(kPaths), .test = static_cast<Test>(dice.Below(9))};
  switch (matcher.test) {
    case Test::absent:
    case Test::present:
      break;
    case Test::matches:
      matcher.values = {dice.Of(kPatterns)};
      break;
    case Test::in:
      for (size_t n = 1 + dice.Below(3); n > 0; --n) matcher.values.push_back(dice.Of(kScalars));
      break;
    case Test::eq:
      matcher.values = {dice.Of(kScalars)};
      break;
    default:
      matcher.values = {kScalars[dice.Below(9)]};
  }
  return matcher;
}

std::optional<std::vector<std::string>> RandomGlobs(Dice& dice, size_t one_in) {
  if (!dice.OneIn(one_in)) return std::nullopt;
  std::vector<std::string> globs;
  for (size_t n = 1 + dice.Below(2); n > 0; --n) globs.push_back(dice.Of(kGlobs));
  return globs;
}

RuleSpec RandomRule(Dice& dice, size_t number) {
  RuleSpec rule;
  rule.id = "r" + std::to_string(number);
  rule.effect = static_cast<Verdict>(dice.Below(3));
  if (dice.OneIn(2)) rule.effect = Verdict::allow;
  if (rule.effect == Verdict::approve) rule.approval = dice.OneIn(2) ? "one" : "two";
  rule.who = {dice.Of(kWho)};
  if (dice.OneIn(2)) rule.who.push_back(dice.Of(kWho));
  if (dice.OneIn(2)) rule.connection = dice.OneIn(4) ? "other" : "here";
  if (dice.OneIn(3)) rule.labels["env"] = dice.OneIn(2) ? "prod" : "test";
  if (dice.OneIn(3)) rule.labels["scope"] = dice.OneIn(2) ? "cde" : "lab";
  if (!dice.OneIn(6)) rule.tools = RandomGlobs(dice, 1);
  rule.prompts = RandomGlobs(dice, 6);
  if (rule.tools || rule.prompts) rule.resources = RandomGlobs(dice, 6);
  for (size_t n = dice.Below(4); n > 0; --n) rule.args.push_back(RandomMatcher(dice));
  if (rule.effect != Verdict::deny && dice.OneIn(5))
    rule.rate = op::Rate{.calls = static_cast<uint32_t>(1 + dice.Below(9)), .period_seconds = 60};
  if (dice.OneIn(3)) rule.message = "message of " + rule.id;
  return rule;
}

// The plain evaluator.

bool PlainGlob(std::string_view pattern, std::string_view text) {
  if (pattern.empty()) return text.empty();
  if (pattern[0] == '*')
    return PlainGlob(pattern.substr(1), text) ||
           (!text.empty() && PlainGlob(pattern, text.substr(1)));
  return !text.empty() && (pattern[0] == '?' || pattern[0] == text[0]) &&
         PlainGlob(pattern.substr(1), text.substr(1));
}

enum class Answer { no, unsure, yes };

Answer Plain(bool holds) { return holds ? Answer::yes : Answer::no; }

Answer PlainTest(const ArgMatcher& matcher, json::Value value) {
  if (matcher.test == Test::matches) {
    if (!value.is(json::Kind::string)) return Answer::unsure;
    return Plain(re2::RE2::FullMatch(std::string(*value.string()), matcher.values[0]));
  }
  if (matcher.test == Test::eq || matcher.test == Test::in) {
    bool comparable = false;
    for (const auto& text : matcher.values) {
      auto literal = json::Document::Parse(text).value();
      if (literal.root().kind() != value.kind()) continue;
      comparable = true;
      bool same = value.is(json::Kind::string)   ? value.string() == literal.root().string()
                  : value.is(json::Kind::number) ? value.number() == literal.root().number()
                                                 : value.raw() == text;
      if (same) return Answer::yes;
    }
    return comparable ? Answer::no : Answer::unsure;
  }
  if (!value.is(json::Kind::number)) return Answer::unsure;
  double a = *value.number(), b = std::strtod(matcher.values[0].c_str(), nullptr);
  return Plain(matcher.test == Test::lt    ? a < b
               : matcher.test == Test::lte ? a <= b
               : matcher.test == Test::gt  ? a > b
                                           : a >= b);
}

Answer PlainCondition(const ArgMatcher& matcher, json::Value at) {
  std::string path = matcher.path.starts_with('/') ? matcher.path.substr(1) : matcher.path;
  for (size_t begin = 0; at && begin <= path.size();) {
    size_t end = std::min(path.find('.', begin), path.size());
    std::string part = path.substr(begin, end - begin);
    begin = end + 1;
    if (at.is(json::Kind::object)) {
      at = at[part];
    } else if (at.is(json::Kind::array) && (part == "0" || part == "1")) {
      at = at.at(part == "1");
    } else {
      return Answer::unsure;
    }
  }
  if (matcher.test == Test::absent || matcher.test == Test::present) {
    if (at.is(json::Kind::null)) return Answer::unsure;
    return Plain(static_cast<bool>(at) == (matcher.test == Test::present));
  }
  return at ? PlainTest(matcher, at) : Answer::no;
}

struct PlainDecision {
  Verdict effect = Verdict::deny;
  std::vector<std::string> rules;
  std::string message, approval;
  std::vector<std::pair<std::string, uint32_t>> rates;
  bool hidden = true;
};

bool PlainNames(const RuleSpec& rule, const op::Operation& operation) {
  auto any = [&](const std::optional<std::vector<std::string>>& globs) {
    return globs && std::ranges::any_of(*globs, [&](const std::string& glob) {
             return PlainGlob(glob, operation.resource);
           });
  };
  if (!rule.tools && !rule.prompts && !rule.resources) return true;
  switch (operation.verb) {
    case Verb::tool_call:
      return any(rule.tools);
    case Verb::prompt_get:
      return any(rule.prompts);
    case Verb::completion:
      return any(rule.prompts) || any(rule.resources);
    case Verb::resource_read:
      return any(rule.resources);
    default:
      return false;
  }
}

bool PlainApplies(const RuleSpec& rule, const op::Principal& who, const op::Operation& operation) {
  bool for_who = std::ranges::any_of(rule.who, [&](const std::string& selector) {
    return selector == "any" || selector == "user:" + who.name ||
           selector == "agent:" + who.agent ||
           std::ranges::any_of(who.groups,
                               [&](const auto& group) { return selector == "group:" + group; });
  });
  if (!for_who || (!rule.connection.empty() && rule.connection != operation.connection))
    return false;
  for (const auto& [key, value] : rule.labels) {
    auto at = operation.labels->find(key);
    if (at == operation.labels->end() || at->second != value) return false;
  }
  return PlainNames(rule, operation);
}

PlainDecision PlainDecide(const RuleSetSpec& spec, const op::Principal& who,
                          const op::Operation& operation) {
  std::vector<const RuleSpec*> sides[3];
  PlainDecision out;
  for (const RuleSpec& rule : spec.rules) {
    if (!PlainApplies(rule, who, operation)) continue;
    out.hidden = false;
    bool matched = std::ranges::all_of(rule.args, [&](const ArgMatcher& matcher) {
      Answer answer = PlainCondition(matcher, operation.arguments);
      return answer == Answer::yes || (answer == Answer::unsure && rule.effect != Verdict::allow);
    });
    if (matched) sides[static_cast<size_t>(rule.effect)].push_back(&rule);
  }
  for (Verdict effect : {Verdict::deny, Verdict::approve, Verdict::allow}) {
    const auto& side = sides[static_cast<size_t>(effect)];
    if (side.empty()) continue;
    out.effect = effect;
    for (const RuleSpec* rule : side) {
      out.rules.push_back(rule->id);
      if (out.message.empty() && effect != Verdict::allow) out.message = rule->message;
    }
    if (effect == Verdict::approve) out.approval = side[0]->approval;
    if (effect == Verdict::deny) return out;
    for (Verdict adds : {Verdict::allow, Verdict::approve}) {
      if (adds == Verdict::approve && effect != Verdict::approve) continue;
      for (const RuleSpec* rule : sides[static_cast<size_t>(adds)]) {
        if (rule->rate) out.rates.emplace_back(rule->id, rule->rate->calls);
      }
    }
    return out;
  }
  return out;
}

struct Asked {
  op::Principal who;
  op::Operation operation;
  std::map<std::string, std::string> labels;
  std::string text;
  json::Document document;
};

void RandomQuestion(Dice& dice, Asked& asked) {
  asked.who = {.issuer = "https://idp.example", .subject = "s"};
  asked.who.name = dice.OneIn(2) ? "u0" : "u9";
  if (dice.OneIn(3)) asked.who.agent = "a0";
  for (const char* group : {"g0", "g1", "g2", "g3"}) {
    if (dice.OneIn(2)) asked.who.groups.emplace_back(group);
  }
  asked.labels = {{"env", "prod"}};
  if (dice.OneIn(2)) asked.labels["scope"] = "cde";
  asked.text = dice.OneIn(10)
                   ? RandomJson(dice, 0)
                   : "{\"a\":" + RandomJson(dice, 2) + ",\"b\":" + RandomJson(dice, 1) + "}";
  asked.document = json::Document::Parse(asked.text).value();
  asked.operation.verb =
      dice.OneIn(4) ? dice.Of<Verb>({Verb::prompt_get, Verb::resource_read, Verb::completion})
                    : Verb::tool_call;
  asked.operation.connection = "here";
  asked.operation.labels = &asked.labels;
  asked.operation.resource = dice.Of(kNames);
  if (!dice.OneIn(10)) asked.operation.arguments = asked.document.root();
}

void Compare(const RuleSetSpec& spec, const RuleSet& rules, const Asked& asked) {
  auto got = rules.Decide(asked.who, asked.operation);
  auto want = PlainDecide(spec, asked.who, asked.operation);
  ASSERT_EQ(got.effect, want.effect) << asked.text;
  ASSERT_EQ(got.rules, want.rules) << asked.text;
  ASSERT_EQ(got.message, want.message);
  ASSERT_EQ(got.approval, want.approval);
  ASSERT_EQ(got.hidden, want.hidden);
  std::vector<std::pair<std::string, uint32_t>> rates;
  for (const auto& rate : got.obligations.rates) rates.emplace_back(rate.rule, rate.calls);
  ASSERT_EQ(rates, want.rates);
  // The explanation reads every rule on its own; those that match and have the verdict's effect
  // are the ones that the decision names.
  std::vector<std::string> explained;
  for (const auto& trace : Explain(rules, asked.who, asked.operation).rules) {
    if (trace.matched && trace.effect == got.effect) explained.push_back(trace.rule);
  }
  ASSERT_EQ(explained, got.rules) << asked.text;
}

TEST(RulesPropertyTest, IndexesChangeNoDecision) {
  for (uint32_t seed = 0; seed < 60; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Dice dice(seed);
    RuleSetSpec spec{.approvals = {"one", "two"}};
    // Few rules stay under the bound from which the arguments are looked at once for all.
    for (size_t n = seed % 3 == 0 ? 12 : 150; spec.rules.size() < n;)
      spec.rules.push_back(RandomRule(dice, spec.rules.size()));
    auto rules = RuleSet::Compile(spec);
    ASSERT_TRUE(rules.has_value()) << rules.error().detail;
    Asked asked;
    for (int i = 0; i < 150; ++i) {
      RandomQuestion(dice, asked);
      ASSERT_NO_FATAL_FAILURE(Compare(spec, **rules, asked));
    }
  }
}

/// All rules are about one caller and one tool, mostly one condition each: verdicts of all kinds.
TEST(RulesPropertyTest, ConditionsOnOneToolChangeNoDecision) {
  size_t verdicts[3] = {};
  for (uint32_t seed = 0; seed < 40; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Dice dice(seed);
    RuleSetSpec spec{.approvals = {"one"}};
    while (spec.rules.size() < 40) {
      RuleSpec rule{.id = "r" + std::to_string(spec.rules.size()), .who = {"any"}};
      rule.effect = dice.OneIn(8)   ? Verdict::deny
                    : dice.OneIn(8) ? Verdict::approve
                                    : Verdict::allow;
      if (rule.effect == Verdict::approve) rule.approval = "one";
      rule.connection = "here";
      rule.tools = {{"t0"}};
      size_t conditions = rule.effect == Verdict::allow ? 1 + dice.Below(2) : 3;
      for (size_t n = 0; n < conditions; ++n) rule.args.push_back(RandomMatcher(dice));
      spec.rules.push_back(std::move(rule));
    }
    auto rules = RuleSet::Compile(spec);
    ASSERT_TRUE(rules.has_value()) << rules.error().detail;
    Asked asked;
    for (int i = 0; i < 150; ++i) {
      RandomQuestion(dice, asked);
      asked.operation.verb = Verb::tool_call;
      asked.operation.resource = "t0";
      ASSERT_NO_FATAL_FAILURE(Compare(spec, **rules, asked));
      ++verdicts[static_cast<size_t>((*rules)->Decide(asked.who, asked.operation).effect)];
    }
  }
  for (size_t count : verdicts) EXPECT_GT(count, 100u);
}

}  // namespace
}  // namespace sallyport::policy
