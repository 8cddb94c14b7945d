#include "policy/explain.h"

#include <gtest/gtest.h>

namespace sallyport::policy {
namespace {

TEST(Explain, SaysWhatEachRuleStoppedAt) {
  RuleSetSpec spec;
  auto add = [&](std::string id, std::string who, std::string connection,
                 std::string tool) -> RuleSpec& {
    RuleSpec rule{.id = std::move(id),
                  .effect = op::Verdict::allow,
                  .who = {std::move(who)},
                  .connection = std::move(connection)};
    rule.tools = {{std::move(tool)}};
    spec.rules.push_back(rule);
    return spec.rules.back();
  };
  add("other-people", "group:x", "c", "refund");
  add("other-place", "any", "d", "refund");
  add("other-tool", "any", "c", "export_*");
  add("other-amount", "any", "c", "refund").args = {
      {.path = "amount", .test = ArgMatcher::Test::lte, .values = {"100"}}};
  add("right", "any", "c", "refund");
  auto rules = RuleSet::Compile(spec).value();
  auto document = json::Document::Parse(R"({"amount":4111111111111111})").value();
  op::Operation operation;
  operation.verb = op::Verb::tool_call;
  operation.connection = "c";
  operation.resource = "refund";
  operation.arguments = document.root();
  auto explanation = Explain(*rules, {}, operation);
  EXPECT_EQ(explanation.decision.effect, op::Verdict::allow);
  ASSERT_EQ(explanation.rules.size(), 5u);
  const char* steps[] = {"who", "connection", "name", "args", "matched"};
  for (size_t i = 0; i < 5; ++i) {
    EXPECT_EQ(explanation.rules[i].step, steps[i]);
    EXPECT_FALSE(explanation.rules[i].reason.empty());
    EXPECT_EQ(explanation.rules[i].reason.find("4111"), std::string::npos);
    EXPECT_EQ(explanation.rules[i].matched, i == 4);
  }
}

}  // namespace
}  // namespace sallyport::policy
