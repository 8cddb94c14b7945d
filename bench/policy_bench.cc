#include <algorithm>
#include <benchmark/benchmark.h>
#include <chrono>
#include <map>
#include <string>
#include <vector>

#include "json/document.h"
#include "policy/rules.h"
#include "sql/classify.h"

// The cost of one decision with 1,000 rules in force. Reported beside the mean: the 99th percentile
// and the largest single decision, each measured on its own (the clock's own 20-40 ns are
// included).

namespace sallyport {
namespace {

using op::Verb;
using op::Verdict;

enum Shape : int64_t {
  kDistinctTools,   // each rule names a tool of its own
  kPatterns,        // each rule is a pattern with its own beginning
  kOneTool,         // all rules name one tool, for different groups
  kSuffixPatterns,  // patterns that begin with *, which no index helps
  kOneToolArgs,     // all rules name one tool for this caller, and differ in a condition on an
                    // argument
  kOneToolBelow,    // the same with thresholds, of which about half are met
  kOneToolText,     // the same with values of a text
  kOneToolPattern,  // the same with patterns of a text
  kOneToolPaths,    // the same with a condition on an argument of its own each
  kOneToolMany,     // three conditions each, and rules that deny, for arguments of another type
  kLabels,          // each rule is about connections with a label of its own
  kResources,       // each rule is about a resource of its own
  kLastShape = kResources,
};

std::vector<policy::ArgMatcher> MakeArgs(const std::string& n, int64_t shape) {
  using Test = policy::ArgMatcher::Test;
  switch (shape) {
    case kOneToolBelow:
      return {{.path = "amount", .test = Test::lte, .values = {n}}};
    case kOneToolText:
      return {{.path = "order_id", .test = Test::in, .values = {"\"o_" + n + "\"", "\"p\""}}};
    case kOneToolPattern:
      return {{.path = "order_id", .test = Test::matches, .values = {"o_" + n + "[0-9a-z]+"}}};
    case kOneToolPaths:
      return {{.path = "order.field_" + n, .test = Test::eq, .values = {"1"}}};
    case kOneToolMany:
      return {{.path = "amount", .test = Test::gte, .values = {n}},
              {.path = "currency", .test = Test::eq, .values = {"\"EUR\""}},
              {.path = "order_id", .test = Test::eq, .values = {n}}};
    default:
      return {{.path = "amount", .test = Test::eq, .values = {n}}};
  }
}

policy::RuleSpec MakeRule(int i, int64_t shape) {
  auto n = std::to_string(i);
  policy::RuleSpec rule;
  rule.id = "rule-" + n;
  rule.effect = i % 10 == 0 ? Verdict::deny : Verdict::allow;
  rule.connection = "payments";
  rule.who = {"group:team-" + n, "group:support"};
  switch (shape) {
    case kDistinctTools:
      rule.tools = {{"tool_" + n}};
      break;
    case kPatterns:
      rule.tools = {{"t" + n + "_*"}};
      break;
    case kOneTool:
      rule.tools = {{"tool_500"}};
      rule.who = {"group:team-" + n};
      break;
    case kSuffixPatterns:
      rule.tools = {{"*_" + n}};
      break;
    case kLabels:
      rule.connection.clear();
      rule.labels = {{"env", "prod"}, {"team", "team-" + n}};
      rule.tools = {{"*"}};
      break;
    case kResources:
      rule.resources = {{"orders://" + n + "/*"}};
      break;
    default:
      rule.tools = {{"tool_500"}};
      rule.effect = Verdict::allow;
      rule.args = MakeArgs(n, shape);
      if (shape == kOneToolMany && i % 10 == 0) rule.effect = Verdict::deny;
  }
  return rule;
}

void Decide(benchmark::State& state) {
  policy::RuleSetSpec spec;
  for (int i = 0; i < 1000; ++i) spec.rules.push_back(MakeRule(i, state.range(0)));
  auto rules = policy::RuleSet::Compile(std::move(spec)).value();
  std::string text =
      R"({"order_id":"o_1a2b3c4d","amount":501,"currency":"EUR","order":{"field_7":1}})";
  auto document = json::Document::Parse(text).value();
  std::map<std::string, std::string> labels{
      {"env", "prod"}, {"scope", "cde"}, {"team", "team-501"}};
  op::Principal who{.issuer = "https://login.example.com", .subject = "1234", .name = "ana"};
  for (int i = 0; i < 20; ++i) who.groups.push_back("team-" + std::to_string(i * 37 + 3));
  who.groups.push_back("support");
  op::Operation operation;
  operation.verb = Verb::tool_call;
  operation.connection = "payments";
  operation.labels = &labels;
  if (state.range(0) == kResources) operation.verb = Verb::resource_read;
  operation.resource = state.range(0) == kPatterns    ? "t501_x"
                       : state.range(0) == kResources ? "orders://501/lines"
                       : state.range(0) >= kOneTool   ? "tool_500"
                                                      : "tool_501";
  operation.arguments = document.root();
  std::vector<double> times;
  times.reserve(1 << 20);
  for (auto _ : state) {
    auto begin = std::chrono::steady_clock::now();
    auto decision = rules->Decide(who, operation);
    benchmark::DoNotOptimize(decision);
    auto end = std::chrono::steady_clock::now();
    if (times.size() < times.capacity())
      times.push_back(std::chrono::duration<double, std::nano>(end - begin).count());
  }
  std::ranges::sort(times);
  state.counters["p50_ns"] = times[times.size() / 2];
  state.counters["p99_ns"] = times[times.size() * 99 / 100];
  state.counters["p99.9_ns"] = times[times.size() * 999 / 1000];
}
BENCHMARK(Decide)->ArgName("shape")->DenseRange(kDistinctTools, kLastShape);

void Visible(benchmark::State& state) {
  policy::RuleSetSpec spec;
  for (int i = 0; i < 1000; ++i) spec.rules.push_back(MakeRule(i, kDistinctTools));
  auto rules = policy::RuleSet::Compile(std::move(spec)).value();
  op::Principal who{.subject = "1234", .groups = {"support"}};
  std::map<std::string, std::string> labels;
  for (auto _ : state) {
    benchmark::DoNotOptimize(rules->Visible(who, "payments", labels, Verb::tool_call, "tool_501"));
  }
}
BENCHMARK(Visible);

void ClassifySql(benchmark::State& state) {
  static constexpr const char* kTexts[] = {
      "SELECT id, customer, amount FROM public.payments WHERE id = 42",
      "SELECT p.id, c.name, sum(o.amount) FROM public.payments p JOIN customers c ON c.id = "
      "p.customer_id JOIN "
      "orders o ON o.pid = p.id WHERE c.country = 'DE' AND p.created_at > now() - interval '1 day' "
      "GROUP BY 1, 2 "
      "ORDER BY 3 DESC LIMIT 50"};
  for (auto _ : state) benchmark::DoNotOptimize(sql::Classify(kTexts[state.range(0)]));
}
BENCHMARK(ClassifySql)->ArgName("text")->DenseRange(0, 1);

}  // namespace
}  // namespace sallyport
