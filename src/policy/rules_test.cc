#include "policy/rules.h"

#include <gtest/gtest.h>

#include "json/document.h"
#include "policy/glob.h"

namespace sallyport::policy {
namespace {

using op::Verb;
using op::Verdict;

RuleSpec Allow(std::string id, std::vector<std::string> who, std::vector<std::string> tools) {
  RuleSpec rule;
  rule.id = std::move(id);
  rule.effect = Verdict::allow;
  rule.who = std::move(who);
  rule.connection = "payments";
  rule.tools = std::move(tools);
  return rule;
}

/// The MCP rules of the example configuration.
RuleSetSpec Example() {
  RuleSetSpec spec;
  spec.approvals = {"leads-one"};
  auto read = Allow("support-read", {"agent:agent-refunds", "group:support"},
                    {"get_order", "list_orders", "search_*"});
  read.rate = op::Rate{.calls = 60, .period_seconds = 60};
  auto small = Allow("refund-small", {"agent:agent-refunds"}, {"refund_order"});
  small.args = {
      {.path = "amount", .test = ArgMatcher::Test::lte, .values = {"100"}},
      {.path = "currency", .test = ArgMatcher::Test::in, .values = {R"("EUR")", R"("USD")"}}};
  auto large = Allow("refund-large", {"agent:agent-refunds"}, {"refund_order"});
  large.effect = Verdict::approve;
  large.approval = "leads-one";
  large.args = {{.path = "amount", .test = ArgMatcher::Test::gt, .values = {"100"}}};
  RuleSpec none;
  none.id = "no-export";
  none.who = {"any"};
  none.labels = {{"scope", "cde"}};
  none.tools = {"export_*", "dump_*"};
  none.message = "Bulk export leaves the cardholder data environment.";
  spec.rules = {read, small, large, none};
  return spec;
}

class RulesTest : public testing::Test {
 protected:
  void Use(RuleSetSpec spec) {
    auto compiled = RuleSet::Compile(std::move(spec));
    ASSERT_TRUE(compiled.has_value()) << compiled.error().detail;
    rules_ = *compiled;
  }
  op::Decision Call(const op::Principal& who, std::string_view tool, std::string args = "{}") {
    return Ask(who, Verb::tool_call, tool, std::move(args));
  }
  op::Decision Ask(const op::Principal& who, Verb verb, std::string_view resource,
                   std::string args = "{}") {
    args_ = std::move(args);
    document_ = json::Document::Parse(args_).value();
    op::Operation operation;
    operation.verb = verb;
    operation.connection = "payments";
    operation.labels = &labels_;
    operation.resource = resource;
    operation.arguments = document_.root();
    operation.sql = sql_;
    operation.known = known_;
    return rules_->Decide(who, operation);
  }
  static op::Principal Bot() {
    return {.issuer = "https://idp.example", .subject = "bot-1", .agent = "agent-refunds"};
  }
  static op::Principal Person(std::string name, std::vector<std::string> groups) {
    return {.issuer = "https://idp.example",
            .subject = "sub-" + name,
            .name = name,
            .groups = std::move(groups)};
  }

  std::shared_ptr<const RuleSet> rules_;
  std::map<std::string, std::string> labels_{{"env", "prod"}, {"scope", "cde"}};
  std::string args_;
  json::Document document_;
  std::vector<op::SqlText> sql_;
  op::Completeness known_;
};

TEST_F(RulesTest, SmallRefundIsAllowedByItsRule) {
  Use(Example());
  auto d = Call(Bot(), "refund_order", R"({"order_id":"o_1","amount":40,"currency":"EUR"})");
  EXPECT_EQ(d.effect, Verdict::allow);
  EXPECT_EQ(d.rules, std::vector<std::string>{"refund-small"});
}

TEST_F(RulesTest, LargeRefundAsksForApproval) {
  Use(Example());
  auto d = Call(Bot(), "refund_order", R"({"amount":900,"currency":"EUR"})");
  EXPECT_EQ(d.effect, Verdict::approve);
  EXPECT_EQ(d.reason, Errc::approval_required);
  EXPECT_EQ(d.approval, "leads-one");
  EXPECT_EQ(d.rules, std::vector<std::string>{"refund-large"});
}

TEST_F(RulesTest, BoundaryAmountIsExact) {
  Use(Example());
  EXPECT_EQ(Call(Bot(), "refund_order", R"({"amount":1e2,"currency":"EUR"})").effect,
            Verdict::allow);
  EXPECT_EQ(
      Call(Bot(), "refund_order", R"({"amount":100.000000000000000001,"currency":"EUR"})").effect,
      Verdict::approve);
}

TEST_F(RulesTest, AmountAsTextIsNeverSmall) {
  Use(Example());
  EXPECT_EQ(Call(Bot(), "refund_order", R"({"amount":"40","currency":"EUR"})").effect,
            Verdict::approve);
  EXPECT_EQ(Call(Bot(), "refund_order", R"({"amount":[40],"currency":"EUR"})").effect,
            Verdict::approve);
}

TEST_F(RulesTest, MissingAmountIsDeniedByDefault) {
  Use(Example());
  auto d = Call(Bot(), "refund_order", R"({"currency":"EUR"})");
  EXPECT_EQ(d.effect, Verdict::deny);
  EXPECT_EQ(d.reason, Errc::policy_default_deny);
  EXPECT_FALSE(d.hidden);
}

TEST_F(RulesTest, DenyRuleTellsItsMessage) {
  Use(Example());
  auto d = Call(Bot(), "export_all");
  EXPECT_EQ(d.effect, Verdict::deny);
  EXPECT_EQ(d.reason, Errc::rule_deny);
  EXPECT_EQ(d.rules, std::vector<std::string>{"no-export"});
  EXPECT_EQ(d.message, "Bulk export leaves the cardholder data environment.");
  EXPECT_FALSE(d.hidden);
}

TEST_F(RulesTest, DenyRuleOfALabelLeavesOtherConnectionsAlone) {
  Use(Example());
  labels_["scope"] = "corporate";
  EXPECT_EQ(Call(Bot(), "export_all").reason, Errc::policy_default_deny);
}

TEST_F(RulesTest, UnnamedToolIsHidden) {
  Use(Example());
  EXPECT_TRUE(Call(Bot(), "drop_everything").hidden);
  EXPECT_TRUE(Call(Person("eve", {}), "get_order").hidden);
  EXPECT_FALSE(Call(Person("sue", {"support"}), "get_order").hidden);
}

TEST_F(RulesTest, RateIsAnObligation) {
  Use(Example());
  auto d = Call(Person("sue", {"support"}), "search_by_customer");
  ASSERT_EQ(d.effect, Verdict::allow);
  ASSERT_EQ(d.obligations.rates.size(), 1u);
  EXPECT_EQ(d.obligations.rates[0].rule, "support-read");
  EXPECT_EQ(d.obligations.rates[0].calls, 60u);
}

TEST_F(RulesTest, DenyWinsOverApproveWinsOverAllow) {
  auto spec = Example();
  auto deny = Allow("stop", {"any"}, {"refund_order"});
  deny.effect = Verdict::deny;
  deny.args = {{.path = "amount", .test = ArgMatcher::Test::gte, .values = {"1000"}}};
  auto all = Allow("all", {"any"}, {"*"});
  spec.rules.push_back(deny);
  spec.rules.push_back(all);
  Use(spec);
  EXPECT_EQ(Call(Bot(), "refund_order", R"({"amount":900})").effect, Verdict::approve);
  EXPECT_EQ(Call(Bot(), "refund_order", R"({"amount":1000})").rules,
            std::vector<std::string>{"stop"});
  auto both = Call(Bot(), "refund_order", R"({"amount":1,"currency":"EUR"})");
  EXPECT_EQ(both.rules, (std::vector<std::string>{"refund-small", "all"}));
}

TEST_F(RulesTest, DenyRuleTakesAnotherTypeAsMatching) {
  auto spec = Example();
  auto all = Allow("all", {"any"}, {"*"});
  auto deny = Allow("no-gold", {"any"}, {"upgrade"});
  deny.effect = Verdict::deny;
  deny.args = {{.path = "customer.tier", .test = ArgMatcher::Test::eq, .values = {R"("gold")"}}};
  spec.rules = {all, deny};
  Use(spec);
  EXPECT_EQ(Call(Bot(), "upgrade", R"({"customer":{"tier":"silver"}})").effect, Verdict::allow);
  EXPECT_EQ(Call(Bot(), "upgrade", R"({"customer":{"tier":"gold"}})").effect, Verdict::deny);
  EXPECT_EQ(Call(Bot(), "upgrade", R"({"customer":{"tier":["gold"]}})").effect, Verdict::deny);
  EXPECT_EQ(Call(Bot(), "upgrade", R"({"customer":"gold"})").effect, Verdict::deny);
  EXPECT_EQ(Call(Bot(), "upgrade", R"({"customer":{}})").effect, Verdict::allow);
}

TEST_F(RulesTest, AllowRuleTakesAnotherTypeAsNotMatching) {
  RuleSetSpec spec;
  auto small = Allow("small", {"any"}, {"refund"});
  small.args = {{.path = "amount", .test = ArgMatcher::Test::lte, .values = {"100"}}};
  spec.rules = {small};
  Use(spec);
  EXPECT_EQ(Call(Bot(), "refund", R"({"amount":40})").effect, Verdict::allow);
  for (std::string args : {R"({"amount":"40"})", R"({"amount":null})", R"({"amount":[40]})",
                           R"({"amount":true})", "{}"}) {
    auto d = Call(Bot(), "refund", args);
    EXPECT_EQ(d.effect, Verdict::deny) << args;
    EXPECT_EQ(d.reason, Errc::policy_default_deny);
  }
}

TEST_F(RulesTest, IndexFindsWhatEveryPatternMeans) {
  const std::vector<std::string> patterns{"export_all",
                                          "export_*",
                                          "*_all",
                                          "*all*",
                                          "e?port_all",
                                          "?xport_all",
                                          "*",
                                          "a_very_long_prefix_*",
                                          "*_a_very_long_suffix",
                                          "ab*",
                                          "a*",
                                          "*b",
                                          "x*y",
                                          "*x?"};
  const std::vector<std::string> names{"export_all",
                                       "export_",
                                       "all",
                                       "a_very_long_prefix_1",
                                       "1_a_very_long_suffix",
                                       "ab",
                                       "a",
                                       "b",
                                       "xy",
                                       "xz",
                                       "",
                                       "x"};
  for (const auto& pattern : patterns) {
    RuleSetSpec spec;
    spec.rules = {Allow("r", {"any"}, {"nothing", pattern})};
    Use(spec);
    auto glob = Glob::Make(pattern).value();
    for (const auto& name : names) {
      EXPECT_EQ(Call(Bot(), name).effect == Verdict::allow, glob.Matches(name))
          << pattern << " " << name;
    }
  }
}

TEST_F(RulesTest, IncompleteGroupsAreNeverReadAsNone) {
  Use(Example());
  auto cut = Person("sue", {});
  cut.groups_complete = false;
  EXPECT_EQ(Call(cut, "get_order").reason, Errc::identity_incomplete);
  EXPECT_FALSE(rules_->Visible(cut, "payments", labels_, Verb::tool_call, "get_order"));
  RuleSetSpec no_groups;
  no_groups.rules = {Allow("all", {"any"}, {"*"})};
  Use(no_groups);
  EXPECT_EQ(Call(cut, "get_order").effect, Verdict::allow);
}

TEST_F(RulesTest, WhatIsNotUnderstoodIsRefused) {
  Use(Example());
  known_ = {.complete = false, .reason = "sql-unparsable"};
  EXPECT_EQ(Call(Bot(), "get_order").reason, Errc::sql_unparsable);
  known_.reason = "encoding";
  EXPECT_EQ(Call(Bot(), "get_order").reason, Errc::argument_unclassifiable);
  EXPECT_TRUE(Call(Bot(), "unheard_of").hidden);
  EXPECT_EQ(Call(Bot(), "export_all").reason, Errc::rule_deny);
}

TEST_F(RulesTest, ListsAndProtocolMessagesNeedNoRule) {
  Use({});
  EXPECT_EQ(Ask(Person("eve", {}), Verb::list, "").effect, Verdict::allow);
  EXPECT_EQ(Ask(Person("eve", {}), Verb::protocol, "").effect, Verdict::allow);
  EXPECT_EQ(Ask(Person("eve", {}), Verb::tool_call, "x").effect, Verdict::deny);
}

TEST_F(RulesTest, VisibleIsWhatSomeCallCouldUse) {
  Use(Example());
  auto sees = [&](const op::Principal& p, std::string_view tool) {
    return rules_->Visible(p, "payments", labels_, Verb::tool_call, tool);
  };
  EXPECT_TRUE(sees(Bot(), "refund_order"));
  EXPECT_TRUE(sees(Person("sue", {"support"}), "search_orders"));
  EXPECT_FALSE(sees(Person("sue", {"support"}), "refund_order"));
  EXPECT_FALSE(sees(Bot(), "export_all"));
  EXPECT_FALSE(rules_->Visible(Bot(), "payments", labels_, Verb::prompt_get, "get_order"));
}

TEST_F(RulesTest, UnconditionalDenyHidesFromLists) {
  auto spec = Example();
  spec.rules.push_back(Allow("all", {"any"}, {"*"}));
  Use(spec);
  EXPECT_FALSE(rules_->Visible(Bot(), "payments", labels_, Verb::tool_call, "export_all"));
  EXPECT_TRUE(rules_->Visible(Bot(), "payments", labels_, Verb::tool_call, "get_order"));
  EXPECT_TRUE(rules_->Visible(Bot(), "payments", {}, Verb::tool_call, "export_all"));
}

TEST_F(RulesTest, UserIsNameSubjectOrIdentity) {
  for (std::string who : {"user:ana", "user:sub-ana", "user:https://idp.example|sub-ana"}) {
    RuleSetSpec spec;
    spec.rules = {Allow("r", {who}, {"t"})};
    Use(spec);
    EXPECT_EQ(Call(Person("ana", {}), "t").effect, Verdict::allow) << who;
    EXPECT_EQ(Call(Person("bob", {}), "t").effect, Verdict::deny) << who;
  }
}

TEST_F(RulesTest, ConnectionRuleCoversEveryVerb) {
  RuleSpec rule = Allow("r", {"any"}, {});
  rule.tools.reset();
  RuleSetSpec spec;
  spec.rules = {rule};
  Use(spec);
  for (Verb verb : {Verb::tool_call, Verb::prompt_get, Verb::resource_read,
                    Verb::resource_subscribe, Verb::completion}) {
    EXPECT_EQ(Ask(Bot(), verb, "x").effect, Verdict::allow);
  }
}

TEST_F(RulesTest, NamesOfOneKindDoNotCoverAnother) {
  RuleSpec rule = Allow("r", {"any"}, {"*"});
  rule.tools.reset();
  rule.resources = {"file:///pub/*"};
  RuleSetSpec spec;
  spec.rules = {rule};
  Use(spec);
  EXPECT_EQ(Ask(Bot(), Verb::resource_read, "file:///pub/a").effect, Verdict::allow);
  EXPECT_EQ(Ask(Bot(), Verb::resource_read, "file:///etc/a").effect, Verdict::deny);
  EXPECT_EQ(Ask(Bot(), Verb::tool_call, "file:///pub/a").effect, Verdict::deny);
}

TEST_F(RulesTest, EndlessNameIsRefused) {
  RuleSetSpec spec;
  spec.rules = {Allow("r", {"any"}, {"*"})};
  Use(spec);
  EXPECT_EQ(Call(Bot(), std::string(9000, 'a')).reason, Errc::argument_unclassifiable);
}

TEST_F(RulesTest, VersionFollowsTheRules) {
  Use(Example());
  auto before = rules_->version();
  EXPECT_EQ(before.size(), 16u);
  Use(Example());
  EXPECT_EQ(rules_->version(), before);
  auto spec = Example();
  spec.rules[1].args[0].values[0] = "101";
  Use(spec);
  EXPECT_NE(rules_->version(), before);
}

TEST(RulesCompile, RefusesWhatCannotBeMeant) {
  auto refused = [](auto change) {
    RuleSetSpec spec = Example();
    change(spec.rules);
    auto compiled = RuleSet::Compile(spec);
    return !compiled && compiled.error().code == Errc::config_invalid &&
           !compiled.error().detail.empty();
  };
  EXPECT_FALSE(refused([](auto&) {}));
  EXPECT_TRUE(refused([](auto& r) { r[0].id = ""; }));
  EXPECT_TRUE(refused([](auto& r) { r[0].id = "no-export"; }));
  EXPECT_TRUE(refused([](auto& r) { r[0].who = {}; }));
  EXPECT_TRUE(refused([](auto& r) { r[0].who = {"support"}; }));
  EXPECT_TRUE(refused([](auto& r) { r[0].who = {"group:"}; }));
  EXPECT_TRUE(refused([](auto& r) { r[0].tools = std::vector<std::string>{}; }));
  EXPECT_TRUE(refused([](auto& r) { r[0].tools = {{"a[bc]"}}; }));
  EXPECT_TRUE(refused([](auto& r) { r[2].approval = "nobody"; }));
  EXPECT_TRUE(refused([](auto& r) { r[2].approval = ""; }));
  EXPECT_TRUE(refused([](auto& r) { r[1].args[0].values = {R"("100")"}; }));
  EXPECT_TRUE(refused([](auto& r) { r[1].args[1].values = {}; }));
  EXPECT_TRUE(refused([](auto& r) {
    r[1].args[0] = {.path = "a", .test = ArgMatcher::Test::matches, .values = {"("}};
  }));
  EXPECT_TRUE(refused([](auto& r) { r[3].rate = op::Rate{.calls = 1, .period_seconds = 1}; }));
}

}  // namespace
}  // namespace sallyport::policy
