#include "policy/reach.h"

#include <gtest/gtest.h>

namespace sallyport::policy {
namespace {

RuleSpec Rule(std::string id, op::Verdict effect, std::string who, std::string connection) {
  RuleSpec rule;
  rule.id = std::move(id);
  rule.effect = effect;
  rule.who = {std::move(who)};
  rule.connection = std::move(connection);
  rule.sql = SqlScope{.statements = {"SELECT"}, .relations = {"public." + rule.id}};
  return rule;
}

TEST(Reach, OnlyWhatCouldLetTheCallerThroughHere) {
  RuleSetSpec spec{.rules = {Rule("mine", op::Verdict::allow, "user:ana", "db"),
                             Rule("held", op::Verdict::approve, "any", "db"),
                             Rule("denied", op::Verdict::deny, "any", "db"),
                             Rule("elsewhere", op::Verdict::allow, "user:ana", "other"),
                             Rule("theirs", op::Verdict::allow, "user:bob", "db")},
                   .approvals = {"lead"}};
  spec.rules[1].approval = "lead";
  auto rules = RuleSet::Compile(spec);
  ASSERT_TRUE(rules.has_value()) << rules.error().detail;
  auto reach = ReachOf(**rules, {.subject = "ana", .name = "ana"}, "db", {});
  ASSERT_EQ(reach.size(), 2u);
  EXPECT_EQ(reach[0].relations[0], "public.mine");
  EXPECT_EQ(reach[1].relations[0], "public.held");
}

}  // namespace
}  // namespace sallyport::policy
