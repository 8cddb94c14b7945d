#include "policy/step_up.h"

#include <gtest/gtest.h>

#include "policy/rules.h"

namespace sallyport::policy {
namespace {

constexpr Nanos kSecond = 1'000'000'000;
constexpr Nanos kNow = 1'000'000 * kSecond;

std::string Code(const op::StepUp& wanted, const op::Principal& who) {
  const auto strong = CheckStepUp(wanted, who, DefaultSecondFactors(), kNow);
  return std::string(strong ? "ok" : ReasonCode(strong.error().code));
}

TEST(StepUp, WhatTheProviderDoesNotSayIsNotAssumed) {
  op::Principal who;
  EXPECT_EQ(Code({}, who), "ok");
  EXPECT_EQ(Code({.mfa = true}, who), "mfa-required");
  who.amr = {"pwd"};
  who.acr = "urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport";
  EXPECT_EQ(Code({.mfa = true}, who), "mfa-required");
  who.amr = {"pwd", "otp"};
  EXPECT_EQ(Code({.mfa = true}, who), "ok");
  who.amr = {};
  who.acr = "phr";
  EXPECT_EQ(Code({.mfa = true}, who), "ok");
  EXPECT_FALSE(HasSecondFactor(who, {""}));
  who.acr = "";
  EXPECT_FALSE(HasSecondFactor(who, {""}));
}

TEST(StepUp, ASignInAges) {
  op::Principal who;
  const op::StepUp fresh{.mfa = false, .max_age_seconds = 300};
  EXPECT_EQ(Code(fresh, who), "mfa-required");  // not stated
  who.auth_time = kNow - 300 * kSecond;
  EXPECT_EQ(Code(fresh, who), "ok");
  who.auth_time -= 1;
  EXPECT_EQ(Code(fresh, who), "mfa-required");
  who.auth_time = kNow + 60 * kSecond;
  EXPECT_EQ(Code(fresh, who), "ok");
  who.auth_time = kNow + 61 * kSecond;
  EXPECT_EQ(Code(fresh, who), "mfa-required");
}

RuleSpec Rule(const char* id, op::StepUp require) {
  RuleSpec rule;
  rule.id = id;
  rule.effect = op::Verdict::allow;
  rule.who = {"any"};
  rule.tools = {{"*"}};
  rule.require = require;
  return rule;
}

TEST(StepUp, TheStrictestOfTheRulesThatLetThroughHolds) {
  const auto rules =
      RuleSet::Compile({.rules = {Rule("a", {}), Rule("b", {true, 600}), Rule("c", {false, 60})},
                        .approvals = {},
                        .second_factors = {}});
  ASSERT_TRUE(rules) << rules.error().detail;
  op::Operation call;
  call.verb = op::Verb::tool_call;
  call.resource = "x";
  const op::Decision decision = (*rules)->Decide({}, call);
  EXPECT_EQ(decision.effect, op::Verdict::allow);
  EXPECT_TRUE(decision.obligations.step_up.mfa);
  EXPECT_EQ(decision.obligations.step_up.max_age_seconds, 60u);
}

TEST(StepUp, ItIsPartOfWhatTheRulesAre) {
  const auto version = [](RuleSpec rule, std::vector<std::string> factors) {
    return (*RuleSet::Compile(
                {.rules = {std::move(rule)}, .approvals = {}, .second_factors = factors}))
        ->version();
  };
  EXPECT_NE(version(Rule("a", {}), {}), version(Rule("a", {true, 0}), {}));
  EXPECT_NE(version(Rule("a", {true, 0}), {}), version(Rule("a", {true, 5}), {}));
  EXPECT_NE(version(Rule("a", {true, 0}), {}), version(Rule("a", {true, 0}), {"phr"}));
  RuleSpec deny = Rule("d", {true, 0});
  deny.effect = op::Verdict::deny;
  EXPECT_FALSE(RuleSet::Compile({.rules = {deny}, .approvals = {}, .second_factors = {}}));
}

}  // namespace
}  // namespace sallyport::policy
