#include <gtest/gtest.h>

#include "policy/rules.h"

// Rules over SQL. The statements are written out here as the classifier (src/sql) reports them.

namespace sallyport::policy {
namespace {

using op::Effect;
using op::SqlStatement;
using op::Verb;
using op::Verdict;

SqlStatement Select(std::vector<std::string> relations, std::vector<std::string> columns = {}) {
  SqlStatement s{.kind = "SELECT", .effect = Effect::read, .columns = std::move(columns)};
  for (auto& r : relations) s.relations.push_back({r, false});
  return s;
}

SqlStatement Delete(std::string relation, bool missing_where) {
  return {.kind = "DELETE",
          .effect = Effect::write,
          .relations = {{std::move(relation), true}},
          .missing_where = missing_where};
}

RuleSpec Rule(std::string id, Verdict effect) {
  RuleSpec rule;
  rule.id = std::move(id);
  rule.effect = effect;
  rule.who = {"any"};
  rule.connection = "db";
  return rule;
}

RuleSpec Analyst() {
  auto rule = Rule("analyst", Verdict::allow);
  rule.sql = SqlScope{.statements = {"select"},
                      .relations = {"public.orders", "public.payments"},
                      .columns_deny = {"public.payments.cvv"},
                      .max_rows = 1000};
  return rule;
}

op::Decision Decide(std::vector<RuleSpec> rules, std::vector<SqlStatement> statements,
                    Verb verb = Verb::sql, std::string_view tool = "db") {
  RuleSetSpec spec{.rules = std::move(rules), .approvals = {"lead"}};
  auto set = RuleSet::Compile(spec);
  EXPECT_TRUE(set.has_value()) << (set ? "" : set.error().detail);
  if (!set) return {};
  op::Operation operation;
  operation.verb = verb;
  operation.connection = "db";
  operation.resource = tool;
  op::SqlText text{.statements = std::move(statements), .worst = Effect::none};
  operation.sql.push_back(std::move(text));
  return (*set)->Decide({.subject = "ana"}, operation);
}

TEST(SqlRules, EveryStatementHasToBeCovered) {
  SqlStatement drop{.kind = "DROP", .effect = Effect::ddl, .relations = {{"public.orders", true}}};
  EXPECT_EQ(Decide({Analyst()}, {Select({"orders"})}).effect, Verdict::allow);
  EXPECT_EQ(Decide({Analyst()},
                   {Select({"public.orders"}), Select({"public.payments"}, {"public.payments.id"})})
                .effect,
            Verdict::allow);
  auto denied = Decide({Analyst()}, {Select({}), drop});
  EXPECT_EQ(denied.effect, Verdict::deny);
  EXPECT_EQ(denied.reason, Errc::policy_default_deny);
  EXPECT_NE(denied.why.find("DROP"), std::string::npos);
}

TEST(SqlRules, RelationsHaveToBeListed) {
  EXPECT_EQ(Decide({Analyst()}, {Select({"public.customers"})}).effect, Verdict::deny);
  EXPECT_EQ(Decide({Analyst()}, {Select({"secret.orders"})}).effect, Verdict::deny);
  EXPECT_EQ(Decide({Analyst()}, {Select({"pg_authid"})}).effect, Verdict::deny);
  auto catalog = Rule("catalog", Verdict::allow);
  catalog.sql = SqlScope{.statements = {"SELECT"}, .relations = {"pg_catalog.*"}};
  EXPECT_EQ(Decide({catalog}, {Select({"pg_class"})}).effect, Verdict::allow);
  EXPECT_EQ(Decide({catalog}, {Select({"pg_catalog.pg_class"})}).effect, Verdict::allow);
  EXPECT_EQ(Decide({catalog}, {Select({"orders"})}).effect, Verdict::deny);
  EXPECT_EQ(Decide({catalog, Analyst()}, {Select({"pg_class"}), Select({"orders"})}).effect,
            Verdict::allow);
  EXPECT_EQ(Decide({catalog, Analyst()}, {Select({"pg_class", "orders"})}).effect, Verdict::deny);
}

TEST(SqlRules, NestedChangesNeedTheirOwnKind) {
  auto cte = Select({"orders"});
  cte.effect = Effect::write;
  cte.nested = {"DELETE"};
  EXPECT_EQ(Decide({Analyst()}, {cte}).effect, Verdict::deny);
  auto writer = Analyst();
  writer.sql->statements = {"SELECT", "DELETE"};
  EXPECT_EQ(Decide({writer}, {cte}).effect, Verdict::allow);
}

TEST(SqlRules, RiskyFunctionsHaveToBeNamed) {
  auto s = Select({"orders"});
  s.functions = {"lower", "purge"};
  s.risky = {"purge"};
  EXPECT_EQ(Decide({Analyst()}, {s}).effect, Verdict::deny);
  auto named = Analyst();
  named.sql->functions_allow = {"pur*"};
  EXPECT_EQ(Decide({named}, {s}).effect, Verdict::allow);
  s.risky = s.functions = {"evil.purge"};
  EXPECT_EQ(Decide({named}, {s}).effect, Verdict::deny);
  auto forbidden = Analyst();
  forbidden.sql->functions_deny = {"low*"};
  s.risky = {};
  s.functions = {"lower"};
  EXPECT_EQ(Decide({forbidden}, {s}).effect, Verdict::deny);
}

TEST(SqlRules, DeniedColumns) {
  EXPECT_EQ(Decide({Analyst()}, {Select({"payments"}, {"payments.cvv"})}).effect, Verdict::deny);
  EXPECT_EQ(Decide({Analyst()}, {Select({"orders", "payments"}, {"cvv"})}).effect, Verdict::deny);
  EXPECT_EQ(Decide({Analyst()}, {Select({"orders"}, {"orders.cvv"})}).effect, Verdict::allow);
  auto star = Select({"payments"});
  star.star = true;
  EXPECT_EQ(Decide({Analyst()}, {star}).effect, Verdict::deny);
  auto other = Select({"orders"});
  other.star = true;
  EXPECT_EQ(Decide({Analyst()}, {other}).effect, Verdict::allow);
}

TEST(SqlRules, AllowedColumns) {
  auto rule = Rule("narrow", Verdict::allow);
  rule.sql = SqlScope{.statements = {"SELECT"},
                      .relations = {"public.payments"},
                      .columns_allow = {"public.payments.id", "amount"}};
  EXPECT_EQ(Decide({rule}, {Select({"payments"}, {"payments.id", "payments.amount"})}).effect,
            Verdict::allow);
  EXPECT_EQ(Decide({rule}, {Select({"payments"}, {"id"})}).effect, Verdict::allow);
  EXPECT_EQ(Decide({rule}, {Select({"payments"}, {"payments.card_number"})}).effect, Verdict::deny);
  auto star = Select({"payments"});
  star.star = true;
  EXPECT_EQ(Decide({rule}, {star}).effect, Verdict::deny);
}

TEST(SqlRules, ChangesNeedAWhere) {
  auto rule = Rule("cleanup", Verdict::allow);
  rule.sql = SqlScope{.statements = {"DELETE"}, .relations = {"public.carts"}};
  EXPECT_EQ(Decide({rule}, {Delete("carts", false)}).effect, Verdict::allow);
  EXPECT_EQ(Decide({rule}, {Delete("carts", true)}).effect, Verdict::deny);
  rule.sql->require_where = false;
  EXPECT_EQ(Decide({rule}, {Delete("carts", true)}).effect, Verdict::allow);
}

TEST(SqlRules, UnboundedReadsAskForApproval) {
  auto bulk = Rule("bulk", Verdict::approve);
  bulk.approval = "lead";
  bulk.sql =
      SqlScope{.statements = {"SELECT"}, .relations = {"public.payments"}, .unbounded = true};
  auto all = Select({"payments"}, {"payments.id"});
  EXPECT_EQ(Decide({Analyst(), bulk}, {all}).effect, Verdict::allow);
  all.unbounded = true;
  EXPECT_EQ(Decide({Analyst(), bulk}, {all}).effect, Verdict::approve);
  EXPECT_EQ(Decide({bulk}, {all}).effect, Verdict::approve);
  SqlStatement drop{.kind = "DROP", .effect = Effect::ddl};
  EXPECT_EQ(Decide({Analyst(), bulk}, {all, drop}).effect, Verdict::deny);
}

TEST(SqlRules, DenyRulesLookAtEachStatement) {
  auto all = Rule("all", Verdict::allow);
  all.sql = SqlScope{.statements = {"*"}};
  auto no_drop = Rule("no-drop", Verdict::deny);
  no_drop.sql = SqlScope{.statements = {"DROP", "SET"}};
  SqlStatement role{.kind = "SET ROLE", .effect = Effect::admin};
  EXPECT_EQ(Decide({all, no_drop}, {Select({"x"})}).effect, Verdict::allow);
  EXPECT_EQ(Decide({all, no_drop}, {Select({"x"}), role}).reason, Errc::rule_deny);
  auto cte = Select({"x"});
  cte.nested = {"DROP"};
  EXPECT_EQ(Decide({all, no_drop}, {cte}).reason, Errc::rule_deny);
  auto no_cvv = Rule("no-cvv", Verdict::deny);
  no_cvv.sql = SqlScope{.columns_deny = {"public.*.cvv"}};
  EXPECT_EQ(Decide({all, no_cvv}, {Select({"payments"}, {"cvv"})}).reason, Errc::rule_deny);
  EXPECT_EQ(Decide({all, no_cvv}, {Select({"payments"}, {"id"})}).effect, Verdict::allow);
  auto no_secret = Rule("no-secret", Verdict::deny);
  no_secret.sql = SqlScope{.relations = {"vault.cards"}};
  EXPECT_EQ(Decide({all, no_secret}, {Select({"cards"})}).reason, Errc::rule_deny);
  EXPECT_EQ(Decide({all, no_secret}, {Select({"public.cards"})}).effect, Verdict::allow);
  auto no_where = Rule("no-where", Verdict::deny);
  no_where.sql = SqlScope{.statements = {"DELETE"}, .require_where = true};
  all.sql->require_where = false;
  EXPECT_EQ(Decide({all, no_where}, {Delete("t", true)}).reason, Errc::rule_deny);
  EXPECT_EQ(Decide({all, no_where}, {Delete("t", false)}).effect, Verdict::allow);
}

TEST(SqlRules, ScopeWithoutStatementsReadsOnly) {
  auto rule = Rule("reader", Verdict::allow);
  rule.sql = SqlScope{.relations = {"public.*"}};
  EXPECT_EQ(Decide({rule}, {Select({"orders"})}).effect, Verdict::allow);
  EXPECT_EQ(Decide({rule}, {Delete("orders", false)}).effect, Verdict::deny);
}

TEST(SqlRules, ToolCallsWithSql) {
  auto tool = Rule("tool", Verdict::allow);
  tool.tools = {"execute_sql"};
  auto call = [](std::vector<RuleSpec> rules, std::vector<SqlStatement> s) {
    return Decide(std::move(rules), std::move(s), Verb::tool_call, "execute_sql");
  };
  EXPECT_EQ(call({tool}, {Select({"anything"})}).effect, Verdict::allow);
  EXPECT_EQ(call({tool}, {Delete("orders", false)}).effect, Verdict::deny);
  auto risky = Select({"x"});
  risky.risky = risky.functions = {"purge"};
  EXPECT_EQ(call({tool}, {risky}).effect, Verdict::deny);
  auto writer = tool;
  writer.id = "writer";
  writer.sql = SqlScope{.statements = {"SELECT", "DELETE"}, .relations = {"public.orders"}};
  EXPECT_EQ(call({writer}, {Delete("orders", false)}).effect, Verdict::allow);
  EXPECT_EQ(call({writer}, {Delete("payments", false)}).effect, Verdict::deny);
  // A rule that speaks of SQL alone is not about tools, unless it holds back.
  EXPECT_TRUE(call({Analyst()}, {Select({"orders"})}).hidden);
  auto no_delete = Rule("no-delete", Verdict::deny);
  no_delete.sql = SqlScope{.statements = {"DELETE"}};
  EXPECT_EQ(call({writer, no_delete}, {Delete("orders", false)}).reason, Errc::rule_deny);
}

TEST(SqlRules, ApprovalWithoutSqlPartCoversAnyStatement) {
  auto tool = Rule("ask", Verdict::approve);
  tool.approval = "lead";
  tool.tools = {"execute_sql"};
  auto d = Decide({tool}, {Delete("orders", false)}, Verb::tool_call, "execute_sql");
  EXPECT_EQ(d.effect, Verdict::approve);
  // One that speaks of SQL alone holds back, but is no permission to use the tool.
  auto sql_only = tool;
  sql_only.tools.reset();
  sql_only.sql = SqlScope{.statements = {"*"}};
  EXPECT_EQ(Decide({sql_only}, {Select({"orders"})}, Verb::tool_call, "execute_sql").effect,
            Verdict::deny);
}

TEST(SqlRules, SqlThatNobodyReadIsNotCovered) {
  auto writer = Rule("writer", Verdict::allow);
  writer.tools = {"execute_sql"};
  writer.sql = SqlScope{.statements = {"SELECT"}};
  RuleSetSpec spec{.rules = {writer}};
  auto set = RuleSet::Compile(spec).value();
  op::Operation operation;
  operation.verb = Verb::tool_call;
  operation.connection = "db";
  operation.resource = "execute_sql";
  EXPECT_EQ(set->Decide({}, operation).effect, Verdict::deny);
  op::SqlText broken{.known = {.complete = false, .reason = "sql-unparsable"}};
  operation.sql = {broken};
  EXPECT_EQ(set->Decide({}, operation).reason, Errc::sql_unparsable);
}

TEST(SqlRules, TightestRowLimitWins) {
  auto wide = Analyst();
  wide.id = "wide";
  wide.sql->max_rows = 5000;
  auto d = Decide({wide, Analyst()}, {Select({"orders"})});
  EXPECT_EQ(d.obligations.max_rows, 1000u);
  EXPECT_EQ(d.rules, (std::vector<std::string>{"wide", "analyst"}));
}

TEST(SqlRules, NamesWithManyDigitsAreNotShown) {
  auto d = Decide({Analyst()}, {Select({"\"4111111111111111\""})});
  EXPECT_EQ(d.effect, Verdict::deny);
  EXPECT_EQ(d.why.find("4111"), std::string::npos);
}

TEST(SqlRules, FramingATransactionNeedsNoRuleOfItsOwn) {
  SqlStatement begin{.kind = "BEGIN", .effect = Effect::none};
  EXPECT_EQ(Decide({Analyst()}, {begin}).effect, Verdict::allow);
  EXPECT_EQ(Decide({Analyst()}, {begin, Select({"public.orders"})}).effect, Verdict::allow);
  EXPECT_EQ(Decide({Analyst()}, {begin, Delete("public.orders", false)}).effect, Verdict::deny);
  auto elsewhere = Analyst();
  elsewhere.connection = "other";
  EXPECT_EQ(Decide({elsewhere}, {begin}).effect, Verdict::deny);
}

}  // namespace
}  // namespace sallyport::policy
