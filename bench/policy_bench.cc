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
};

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
    default:
      rule.tools = {{"tool_500"}};
      rule.effect = Verdict::allow;
      rule.args = {{.path = "amount", .test = policy::ArgMatcher::Test::eq, .values = {n}}};
  }
  return rule;
}

void Decide(benchmark::State& state) {
  policy::RuleSetSpec spec;
  for (int i = 0; i < 1000; ++i) spec.rules.push_back(MakeRule(i, state.range(0)));
  auto rules = policy::RuleSet::Compile(std::move(spec)).value();
  std::string text = R"({"order_id":"o_1a2b3c4d","amount":501,"currency":"EUR"})";
  auto document = json::Document::Parse(text).value();
  std::map<std::string, std::string> labels{{"env", "prod"}, {"scope", "cde"}};
  op::Principal who{.issuer = "https://login.example.com", .subject = "1234", .name = "ana"};
  for (int i = 0; i < 20; ++i) who.groups.push_back("team-" + std::to_string(i * 37 + 3));
  who.groups.push_back("support");
  op::Operation operation;
  operation.verb = Verb::tool_call;
  operation.connection = "payments";
  operation.labels = &labels;
  operation.resource = state.range(0) == kPatterns  ? "t501_x"
                       : state.range(0) >= kOneTool ? "tool_500"
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
BENCHMARK(Decide)->ArgName("shape")->DenseRange(kDistinctTools, kOneToolArgs);

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
