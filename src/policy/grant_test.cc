#include "policy/grant.h"

#include <gtest/gtest.h>

#include "op/session.h"
#include "policy/reach.h"
#include "policy/rules.h"

namespace sallyport::policy {
namespace {

using op::Effect;
using op::Verb;
using op::Verdict;

std::shared_ptr<const Grant> Make(std::string_view lines) {
  auto grant = Grant::Parse(lines);
  EXPECT_TRUE(grant) << grant.error().detail;
  return grant ? *grant : nullptr;
}

std::string WhyNot(std::string_view lines) {
  auto grant = Grant::Parse(lines);
  EXPECT_FALSE(grant) << lines;
  return grant ? "" : grant.error().detail;
}

/// Everything is allowed by a rule, so what is refused the grant has refused.
class GrantTest : public testing::Test {
 protected:
  void SetUp() override {
    RuleSpec tools{.id = "all", .effect = Verdict::allow, .who = {"any"}, .connection = "payments"};
    tools.sql = std::nullopt;
    RuleSpec sql{.id = "sql", .effect = Verdict::allow, .who = {"any"}, .connection = "orders"};
    sql.sql = SqlScope{.statements = {"*"}, .relations = {"*.*"}, .functions_allow = {"*"}};
    sql.sql->require_where = false;
    RuleSpec none{.id = "none", .who = {"any"}, .connection = "payments"};
    none.tools = {"drop_*"};
    auto rules = RuleSet::Compile({.rules = {tools, sql, none}, .approvals = {}});
    ASSERT_TRUE(rules) << rules.error().detail;
    rules_ = *rules;
    who_.issuer = "https://idp.example";
    who_.subject = "u1";
    who_.session = "u_1";
  }
  op::Decision Tool(std::string_view tool, std::string args = "{}", Effect effect = Effect::call) {
    auto document = json::Document::Parse(args);
    op::Operation operation{.verb = Verb::tool_call, .effect = effect, .connection = "payments"};
    operation.resource = tool;
    operation.arguments = document->root();
    return rules_->Decide(who_, operation);
  }
  op::Decision Sql(std::vector<op::SqlStatement> statements) {
    op::Operation operation{.verb = Verb::sql, .effect = Effect::none, .connection = "orders"};
    for (const auto& s : statements) operation.effect = std::max(operation.effect, s.effect);
    operation.sql.push_back({.statements = std::move(statements), .worst = operation.effect});
    return rules_->Decide(who_, operation);
  }
  bool Allowed(std::string_view tool, std::string args = "{}", Effect effect = Effect::call) {
    const auto decision = Tool(tool, std::move(args), effect);
    if (decision.effect != Verdict::allow) EXPECT_EQ(decision.reason, Errc::grant_exceeded);
    return decision.effect == Verdict::allow;
  }
  bool AllowedSql(std::vector<op::SqlStatement> statements) {
    const auto decision = Sql(std::move(statements));
    if (decision.effect != Verdict::allow) EXPECT_EQ(decision.reason, Errc::grant_exceeded);
    return decision.effect == Verdict::allow;
  }
  static op::SqlStatement Select(std::string table) {
    return {.kind = "SELECT", .effect = Effect::read, .relations = {{std::move(table)}}};
  }

  std::shared_ptr<const RuleSet> rules_;
  op::Principal who_;
};

TEST_F(GrantTest, WithoutAGrantTheRulesDecide) {
  EXPECT_TRUE(Allowed("refund"));
  EXPECT_TRUE(Tool("refund").limits.empty());
}

TEST_F(GrantTest, ToolsOutsideAreRefusedAndTheDenialNamesTheGrant) {
  who_.grant = Make("connection=pay* tool=get_* tool=refund");
  EXPECT_TRUE(Allowed("get_order") && Allowed("refund"));
  const auto decision = Tool("export");
  EXPECT_EQ(decision.effect, Verdict::deny);
  EXPECT_EQ(decision.reason, Errc::grant_exceeded);
  EXPECT_EQ(decision.rules, std::vector<std::string>{"grant:u_1"});
  EXPECT_FALSE(decision.hidden);
  EXPECT_TRUE(decision.obligations.rates.empty());
  EXPECT_FALSE(AllowedSql({Select("public.orders")}));
}

TEST_F(GrantTest, ItNeverGivesWhatRulesDoNot) {
  who_.grant = Make("tool=*");
  const auto denied = Tool("drop_all");
  EXPECT_EQ(denied.reason, Errc::rule_deny);
  op::Operation elsewhere{.verb = Verb::tool_call, .connection = "other"};
  elsewhere.resource = "get";
  EXPECT_EQ(rules_->Decide(who_, elsewhere).reason, Errc::policy_default_deny);
  EXPECT_FALSE(rules_->Visible(who_, "payments", {}, Verb::tool_call, "drop_all"));
}

TEST_F(GrantTest, ArgumentsAreComparedAsInRules) {
  who_.grant = Make(R"(tool=refund args.amount<=100 args.to="IBAN 1" args.deep.n>-2)");
  EXPECT_TRUE(Allowed("refund", R"({"amount":100.0,"to":"IBAN 1","deep":{"n":-1}})"));
  EXPECT_FALSE(Allowed("refund", R"({"amount":100.01,"to":"IBAN 1","deep":{"n":-1}})"));
  EXPECT_FALSE(Allowed("refund", R"({"amount":"1","to":"IBAN 1","deep":{"n":-1}})")) << "a type";
  EXPECT_FALSE(Allowed("refund", R"({"amount":1,"to":"IBAN 2","deep":{"n":-1}})"));
  EXPECT_FALSE(Allowed("refund", R"({"amount":1,"to":"IBAN 1"})")) << "not there";
  who_.grant = Make(R"(args.a=1 args.b="1" args.c=x)");
  EXPECT_TRUE(Allowed("any", R"({"a":1,"b":"1","c":"x"})"));
  EXPECT_FALSE(Allowed("any", R"({"a":"1","b":"1","c":"x"})"));
  EXPECT_FALSE(Allowed("any", R"({"a":1,"b":1,"c":"x"})"));
  EXPECT_FALSE(AllowedSql({Select("public.orders")})) << "a statement has no arguments";
}

TEST_F(GrantTest, TablesHoldForEveryStatementWhole) {
  who_.grant = Make("connection=orders table=public.pay* table=audit.log");
  EXPECT_TRUE(AllowedSql({Select("payments"), Select("audit.log")}));
  EXPECT_FALSE(AllowedSql({Select("payments"), Select("public.cards")}));
  auto both = Select("payments");
  both.relations.push_back({"cards"});
  EXPECT_FALSE(AllowedSql({both}));
  EXPECT_TRUE(AllowedSql({{.kind = "BEGIN", .effect = Effect::none}}));
  EXPECT_FALSE(AllowedSql({{.kind = "CALL", .effect = Effect::admin}}));
  EXPECT_FALSE(AllowedSql({{.kind = "NOTIFY", .effect = Effect::write}}));
  auto hidden = Select("payments");
  hidden.functions = hidden.risky = {"query_to_xml"};
  EXPECT_FALSE(AllowedSql({hidden})) << "it may read what no relation names";
  for (const char* name : {"public.lower", "\"my schema\".lower", "operator @@@", "cast of t"}) {
    auto own = Select("payments");
    own.functions = {name};
    EXPECT_FALSE(AllowedSql({own})) << name << " may read what no relation names";
  }
  auto plain = Select("payments");
  plain.functions = {"lower"};
  EXPECT_TRUE(AllowedSql({plain}));
  EXPECT_FALSE(AllowedSql({{.kind = "LISTEN", .effect = Effect::read}}));
  EXPECT_FALSE(AllowedSql({{.kind = "FETCH", .effect = Effect::read}}));
  auto drop = Select("payments");
  drop.effect = Effect::ddl;
  EXPECT_FALSE(AllowedSql({drop}));
  EXPECT_FALSE(Allowed("query")) << "a tool without SQL that was read";
}

TEST_F(GrantTest, EffectsAndRows) {
  auto update = Select("orders");
  update.kind = "UPDATE", update.effect = Effect::write;
  who_.grant = Make("effect=read");
  EXPECT_TRUE(Allowed("get", "{}", Effect::read) && AllowedSql({Select("orders")}));
  EXPECT_FALSE(Allowed("get", "{}", Effect::call) || AllowedSql({update}));
  who_.grant = Make("effect=write");
  EXPECT_TRUE(Allowed("get", "{}", Effect::write) && AllowedSql({update}));
  EXPECT_FALSE(Allowed("get", "{}", Effect::ddl));
  who_.grant = Make("rows=10 uses=3");
  const auto decision = Sql({Select("orders")});
  ASSERT_EQ(decision.limits.size(), 1u);
  EXPECT_EQ(decision.limits[0].max_rows, 10u);
  EXPECT_EQ(decision.limits[0].uses, 3u);
  EXPECT_FALSE(Allowed("get")) << "the rows of a tool cannot be counted";
}

TEST_F(GrantTest, AnyOfSeveralLimitsLetsThrough) {
  who_.grant = Make("tool=a\ntool=b uses=1\ntool=b");
  EXPECT_TRUE(Allowed("a"));
  const auto decision = Tool("b");
  ASSERT_EQ(decision.limits.size(), 2u);
  EXPECT_EQ(decision.limits[0].limit, 1u);
  EXPECT_EQ(decision.limits[1].limit, 2u);
  EXPECT_FALSE(Allowed("c"));
}

TEST_F(GrantTest, ListsAndLoginsShowWhatIsCovered) {
  const std::map<std::string, std::string> labels;
  who_.grant = Make("connection=payments tool=get_* uses=1");
  EXPECT_TRUE(rules_->Visible(who_, "payments", labels, Verb::tool_call, "get_order"));
  EXPECT_FALSE(rules_->Visible(who_, "payments", labels, Verb::tool_call, "refund"));
  EXPECT_FALSE(rules_->Visible(who_, "payments", labels, Verb::prompt_get, "get_order"));
  EXPECT_TRUE(ReachOf(*rules_, who_, "orders", labels).empty());
  who_.grant = Make("connection=orders");
  EXPECT_FALSE(ReachOf(*rules_, who_, "orders", labels).empty());
}

TEST_F(GrantTest, WhatOnlyFramesIsNotCounted) {
  const auto counts = [](op::SqlStatement statement) {
    op::Operation operation{.verb = Verb::sql, .connection = "orders"};
    operation.statement = std::make_shared<op::SqlText>(op::SqlText{.statements = {statement}});
    return Grant::Counts(operation);
  };
  EXPECT_FALSE(counts({.kind = "BEGIN", .effect = Effect::none}));
  EXPECT_FALSE(counts({.kind = "SHOW", .effect = Effect::read}));
  EXPECT_TRUE(counts({.kind = "SELECT", .effect = Effect::read}));
  EXPECT_TRUE(counts({.kind = "FETCH", .effect = Effect::read}));
  EXPECT_TRUE(Grant::Counts({.verb = Verb::tool_call}));
}

TEST(GrantParseTest, SaysWhereAndWhat) {
  EXPECT_EQ(WhyNot("tol=x").substr(0, 36), "limit 1, column 1: unknown key \"tol\"");
  EXPECT_NE(WhyNot("tool=a\n  rows=0").find("limit 2, column 8: write a whole number"),
            std::string::npos);
  for (const auto& [text, column] :
       std::initializer_list<std::pair<std::string, int>>{{"", 1},
                                                          {"  ", 1},
                                                          {"tool", 1},
                                                          {"tool=a x", 8},
                                                          {"tool=", 6},
                                                          {"tool=a[b", 6},
                                                          {"rows<=5", 5},
                                                          {"rows=1 rows=2", 8},
                                                          {"uses=-1", 6},
                                                          {"uses=1000001", 6},
                                                          {"effect=all", 8},
                                                          {"effect=read effect=read", 13},
                                                          {"args.a<x", 8},
                                                          {"args.=1", 1},
                                                          {"args.a=\"x", 8},
                                                          {"args.a=\"x\"y", 8},
                                                          {"table=", 7},
                                                          {"=x", 1},
                                                          {"args.pan=4111-1111-1111-1111", 10},
                                                          {"tool=a\ttool=b", 6}}) {
    const auto why = WhyNot(text);
    EXPECT_NE(why.find("column " + std::to_string(column) + ":"), std::string::npos)
        << text << ": " << why;
  }
  EXPECT_NE(WhyNot("tool=a\n").find("limit 2"), std::string::npos) << "an empty line is no limit";
  std::string many = "tool=a";
  for (int i = 0; i < 16; ++i) many += "\ntool=a";
  EXPECT_NE(WhyNot(many).find("16"), std::string::npos);
  EXPECT_NE(WhyNot("tool=" + std::string(600, 'a')).find("512"), std::string::npos);
}

TEST(GrantParseTest, Words) {
  const auto grant = Make(
      "connection=orders table=public.payments rows=100 uses=20\n"
      "tool=a tool=b* args.amount<=100 args.to=EUR effect=read uses=1");
  EXPECT_EQ(grant->Words(0),
            "connection orders; table public.payments; at most 100 rows a result; at most 20 uses");
  EXPECT_EQ(grant->Words(1),
            "tool a or b*; argument amount <= 100; argument to = \"EUR\"; reading only; one use");
}

}  // namespace
}  // namespace sallyport::policy
