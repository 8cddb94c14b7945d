#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <unistd.h>

#include "config/explain_call.h"
#include "config/policy_cases.h"
#include "config/sql_arguments.h"
#include "config/validate.h"
#include "json/document.h"

namespace sallyport::config {
namespace {

const std::filesystem::path kData = std::filesystem::path(SALLYPORT_TESTDATA) / "config";
const std::filesystem::path kContract = kData / "contract.yaml";

class PolicyCases : public testing::Test {
 protected:
  void SetUp() override {
    file_ = std::filesystem::path(testing::TempDir()) /
            ("sallyport_cases_" + std::to_string(::getpid()) + ".yaml");
  }
  void TearDown() override { std::filesystem::remove(file_); }
  Outcome Run(const std::string& tests, bool json = false) {
    std::ofstream(file_) << "identities:\n  bot: { agent: agent-refunds }\n  ana: { user: "
                            "ana@example.com, groups: [analysts] }\ntests:\n"
                         << tests;
    return RunPolicyCases(kContract, {file_}, json);
  }
  std::filesystem::path file_;
};

TEST_F(PolicyCases, ContractTestsPass) {
  auto outcome = RunPolicyCases(kContract, {kData / "contract_policy_test.yaml"}, false);
  EXPECT_EQ(outcome.exit_code, 0) << outcome.out << outcome.err;
  EXPECT_NE(outcome.out.find("5 passed, 0 failed"), std::string::npos);
  EXPECT_NE(outcome.out.find("never: analyst-bulk, analyst-sql, catalog"), std::string::npos);
}

TEST_F(PolicyCases, WrongExpectationsFail) {
  const char* call =
      "call: { connection: payments, tool: refund_order, args: { amount: 40, currency: EUR } }";
  for (std::string expect :
       {"decision: deny", "decision: allow, rules: [refund-large]", "decision: allow, rules: []",
        "decision: allow, approval: leads-one", "decision: allow, reason: rule-deny"}) {
    auto outcome =
        Run("  - { name: n, as: bot, " + std::string(call) + ", expect: { " + expect + " } }\n");
    EXPECT_EQ(outcome.exit_code, 3) << expect << outcome.out << outcome.err;
    EXPECT_NE(outcome.out.find("FAILED  n"), std::string::npos);
  }
}

TEST_F(PolicyCases, RepliesAreMasked) {
  const char* test =
      "  - name: n\n    as: bot\n    call: { connection: payments, tool: get_order }\n"
      "    reply: { text: \"card 4111 1111 1111 1111\" }\n    expect: ";
  EXPECT_EQ(Run(test + std::string("{ reply_lacks: \"4111 1111 1111\", masked: { pan: 1 } }\n"))
                .exit_code,
            0);
  EXPECT_EQ(Run(test + std::string("{ reply_lacks: \"1111\" }\n")).exit_code, 3);
  EXPECT_EQ(Run(test + std::string("{ reply_contains: \"4111 1111\" }\n")).exit_code, 3);
  auto outcome = Run(test + std::string("{ masked: { pan: 2 } }\n"));
  EXPECT_EQ(outcome.exit_code, 3);
  EXPECT_EQ(outcome.out.find("4111"), std::string::npos);
}

TEST_F(PolicyCases, BadFilesAreRefusedWithTheirPlace) {
  for (std::string test :
       {"  - { name: n, as: nobody, call: { connection: payments, tool: t }, expect: { decision: "
        "deny } }\n",
        "  - { name: n, as: bot, call: { connection: paiments, tool: t }, expect: { decision: deny "
        "} }\n",
        "  - { name: n, as: bot, call: { connection: payments }, expect: { decision: deny } }\n",
        "  - { name: n, as: bot, call: { connection: payments, tool: t }, expects: { decision: "
        "deny } }\n",
        "  - { name: n, as: bot, call: { connection: payments, tool: t }, expect: { decision: "
        "denied } }\n",
        "  - { name: n, as: bot, call: { connection: payments, tool: t }, expect: { rules: "
        "[no-such] } }\n",
        "  - { name: n, as: bot, call: { connection: payments, tool: t }, expect: { } }\n",
        "  - { name: n, as: bot, expect: { decision: deny } }\n"}) {
    auto outcome = Run(test);
    EXPECT_EQ(outcome.exit_code, 78) << test;
    EXPECT_NE(outcome.err.find(file_.string() + ":5:"), std::string::npos) << outcome.err;
  }
}

TEST_F(PolicyCases, SqlIsJudgedByItsParseTree) {
  auto decide = [&](std::string sql, std::string expect) {
    auto outcome = Run("  - name: n\n    as: ana\n    sql: { connection: orders-db, text: \"" +
                       sql + "\" }\n    expect: { " + expect + " }\n");
    EXPECT_EQ(outcome.exit_code, 0) << sql << "\n" << outcome.out << outcome.err;
  };
  decide("select id from public.payments where id = 1", "decision: allow, rules: [analyst-sql]");
  decide("select id from payments", "decision: approve, rules: [analyst-bulk]");
  decide("select cvv from payments where id = 1", "decision: deny");
  decide("select * from payments where id = 1", "decision: deny");
  decide("select p from payments p where id = 1", "decision: deny");
  decide("with d as (delete from payments where id = 1 returning id) select id from d",
         "decision: deny");
  decide("select pg_read_file('x')", "decision: deny");
  decide("selec 1", "decision: deny, reason: sql-unparsable");
  decide("set role postgres", "decision: deny");
  decide("set application_name = 'x'", "decision: allow, rules: [catalog]");
  decide("select relname from pg_class", "decision: allow, rules: [catalog]");
  decide("select 1; drop table public.orders", "decision: deny");
}

TEST_F(PolicyCases, JsonHasEveryCase) {
  auto outcome =
      Run("  - { name: \"a \\\"b\\\"\", as: bot, call: { connection: payments, tool: export_all }, "
          "expect: { decision: allow } }\n",
          true);
  EXPECT_EQ(outcome.exit_code, 3);
  auto document = json::Document::Parse(outcome.out);
  ASSERT_TRUE(document.has_value()) << outcome.out;
  EXPECT_EQ(document->root()["failed"].integer(), 1);
  EXPECT_EQ(document->root()["tests"].at(0)["decision"].string(), "deny");
}

TEST(ExplainCall, SaysWhichRuleAndWhy) {
  ExplainRequest request{.config = kContract, .as = "agent:agent-refunds"};
  request.call =
      R"({"connection":"payments","tool":"refund_order","args":{"amount":40,"currency":"EUR"}})";
  auto outcome = ExplainCall(request);
  EXPECT_EQ(outcome.exit_code, 0);
  EXPECT_NE(outcome.out.find("+ refund-small"), std::string::npos);
  request.call =
      R"({"connection":"payments","tool":"refund_order","args":{"amount":4111111111111111}})";
  request.json = true;
  outcome = ExplainCall(request);
  EXPECT_EQ(outcome.exit_code, 3);
  EXPECT_EQ(outcome.out.find("4111"), std::string::npos);
  auto document = json::Document::Parse(outcome.out);
  ASSERT_TRUE(document.has_value()) << outcome.out;
  EXPECT_EQ(document->root()["decision"].string(), "approve");
  EXPECT_EQ(document->root()["trace"].size(), 7u);
}

TEST(ExplainCall, QuestionsThatMakeNoSense) {
  auto code = [](std::string as, std::string call, std::string sql, std::string connection) {
    return ExplainCall(
               {.config = kContract, .as = as, .call = call, .sql = sql, .connection = connection})
        .exit_code;
  };
  std::string call = R"({"connection":"payments","tool":"x"})";
  EXPECT_EQ(code("user:ana,group:support", call, "", ""), 3);
  EXPECT_EQ(code("ana", call, "", ""), 2);
  EXPECT_EQ(code("agent:robot", call, "", ""), 2);
  EXPECT_EQ(code("user:a,user:b", call, "", ""), 2);
  EXPECT_EQ(code("", call, "", ""), 2);
  EXPECT_EQ(code("user:a", "{", "", ""), 2);
  EXPECT_EQ(code("user:a", R"({"connection":"payments","tool":"x","argz":{}})", "", ""), 2);
  EXPECT_EQ(code("user:a", "", "select 1", "nowhere"), 2);
  EXPECT_EQ(code("user:a", "", "", ""), 2);
  EXPECT_EQ(code("user:a", call, "select 1", "orders-db"), 2);
  EXPECT_EQ(ExplainCall({.config = kData / "bad" / "rule-who.yaml", .as = "user:a", .call = call})
                .exit_code,
            78);
}

TEST(Validate, ExitCodes) {
  EXPECT_EQ(ValidateFile(kContract, false).exit_code, 0);
  EXPECT_NE(ValidateFile(kContract, false).out.find("valid"), std::string::npos);
  auto bad = ValidateFile(kData / "bad" / "many-at-once.yaml", false);
  EXPECT_EQ(bad.exit_code, 78);
  EXPECT_NE(bad.err.find("many-at-once.yaml:4:15: error CFG-INSECURE: "), std::string::npos)
      << bad.err;
  EXPECT_NE(bad.err.find("4 errors"), std::string::npos);
}

TEST(SqlArguments, Paths) {
  EXPECT_EQ(SplitSqlPath("$.a.b[0].c"), (std::vector<std::string>{"a", "b", "0", "c"}));
  EXPECT_EQ(SplitSqlPath("$.list[*].sql"), (std::vector<std::string>{"list", "*", "sql"}));
  for (auto path : {"", "$", "$.", "sql", "$..sql", "$.a[", "$.a[x]", "$.*", "$[0]", "$.a b"})
    EXPECT_FALSE(SplitSqlPath(path)) << path;
}

TEST(SqlArguments, WhatIsNoTextIsNotRead) {
  std::string text =
      R"({"one":"select 1","list":[{"sql":"select 1"},{"sql":7}],"texts":["select 1","select 2"]})";
  auto document = json::Document::Parse(text).value();
  auto read = [&](std::string_view path) {
    std::vector<op::SqlText> out;
    ReadSqlAt(document.root(), *SplitSqlPath(path), out);
    return out;
  };
  EXPECT_EQ(read("$.one").size(), 1u);
  EXPECT_EQ(read("$.none").size(), 0u);
  EXPECT_EQ(read("$.texts").size(), 2u);
  auto list = read("$.list[*].sql");
  ASSERT_EQ(list.size(), 2u);
  EXPECT_TRUE(list[0].known.complete);
  EXPECT_FALSE(list[1].known.complete);
  EXPECT_EQ(read("$.list[1].sql").size(), 1u);
  EXPECT_EQ(read("$.list[7].sql").size(), 0u);
  EXPECT_EQ(read("$.list[0].none").size(), 0u);
}

TEST(SqlArguments, AnotherShapeThanThePathIsNotTakenForNothing) {
  std::string text = R"({"text":"drop table t","list":["drop table t"],
                         "object":{"sql":"drop table t"},"null":null})";
  auto document = json::Document::Parse(text).value();
  for (auto path : {"$.text.sql", "$.list.sql", "$.object[0].sql", "$.object[*].sql", "$.text[0]",
                    "$.list[0].sql"}) {
    std::vector<op::SqlText> out;
    ReadSqlAt(document.root(), *SplitSqlPath(path), out);
    ASSERT_EQ(out.size(), 1u) << path;
    EXPECT_FALSE(out[0].known.complete) << path;
  }
  std::vector<op::SqlText> out;
  ReadSqlAt(document.root(), *SplitSqlPath("$.null.sql"), out);
  EXPECT_TRUE(out.empty());
}

}  // namespace
}  // namespace sallyport::config
