#include "config/what_if.h"

#include <gtest/gtest.h>

#include "config/load.h"
#include "config/rejudge.h"
#include "config/what_if_report.h"
#include "json/document.h"

namespace sallyport::config {
namespace {

constexpr const char* kHead = R"(version: 1
server:
  public_url: http://127.0.0.1:7300
  listen: { http: "127.0.0.1:7300", ops: "127.0.0.1:7301" }
  data_dir: /var/lib/sallyport
identity:
  providers:
    - name: corp
      oidc: { issuer: https://login.example.com, audience: https://gate.example.com }
  agents:
    - { name: bot, match: { provider: corp, client_id: bot }, owner: group:platform }
connections:
  - name: payments
    labels: { scope: cde }
    mcp:
      http: { url: "https://payments.example.com/mcp" }
      sql_arguments: [{ tool: execute_sql, path: $.sql, dialect: postgresql }]
  - name: orders-db
    postgres: { upstream: { host: db.example.com, database: orders }, credentials: { user: gate, password: { env: PG } } }
approvals:
  - { name: leads, approvers: [group:leads] }
policies:
)";

constexpr const char* kWho =
    R"({"iss":"https://login.example.com","sub":"b","name":"bot","groups":["agents"],"idp":"corp","client":"bot","agent":"bot","owner":"group:platform","class":"access"})";

/// The rules of a test, and a log's entries given to them one by one.
class WhatIfTest : public testing::Test {
 protected:
  void Rules(const std::string& rules) {
    calls_.reset();
    judge_.reset();
    auto loaded = LoadText(kHead + rules, "t.yaml", {.look_at_secrets = false});
    ASSERT_TRUE(loaded.root) << RenderText(loaded.problems);
    root_ = std::make_unique<Root>(*std::move(loaded.root));
    auto judge = Rejudge::Make(*root_, [](std::string_view method) -> std::optional<op::Verb> {
      if (method == "tools/call") return op::Verb::tool_call;
      if (method == "tools/list") return op::Verb::list;
      return std::nullopt;
    });
    ASSERT_TRUE(judge) << judge.error().detail;
    judge_ = *std::move(judge);
    calls_ = std::make_unique<RecordedCalls>(*root_);
    Session(1, "mcp", kWho);
    Session(2, "postgres", kWho);
  }
  void Session(uint64_t index, const std::string& front_end, const std::string& who,
               const std::string& own = "") {
    const std::string lg = own.empty() ? "" : R"("lg":")" + own + R"(",)";
    Put(index, R"({"v":1,"e":"auth.success","t":5,"sid":"s_1",)" + lg + R"("who":)" + who +
                   R"(,"fe":")" + front_end + R"("})");
  }
  std::optional<RecordedCall> Put(uint64_t index, std::string bytes) {
    held_ = std::move(bytes);
    return calls_->Take(index, held_, 0, 0);
  }
  /// "allow", "approve", "deny", or why it cannot be told.
  std::string Call(const std::string& tool, const std::string& request, uint64_t session = 1) {
    const auto call =
        Put(9, R"({"v":1,"e":"call.intent","t":6,"s":)" + std::to_string(session) +
                   R"(,"n":1,"c":"payments","m":"tools/call","r":")" + tool +
                   R"(","x":"allow","rules":["a"])" + (request.empty() ? "" : "," + request) + "}");
    return Say(call);
  }
  std::string Sql(const std::string& text, const std::string& more = "",
                  const std::string& method = "query") {
    return Say(Put(9, R"({"v":1,"e":"call.intent","t":6,"s":2,"c":"orders-db","m":")" + method +
                          R"(","r":"orders","x":"allow")" + more + R"(,"req":{"json":{"sql":)" +
                          json::Quote(text) + "}}}"));
  }
  std::string Say(const std::optional<RecordedCall>& call) {
    EXPECT_TRUE(call);
    const Judgement& now = judge_->Of(*call);
    if (!now.verdict) return std::string(now.unknown);
    return *now.verdict == op::Verdict::allow  ? "allow"
           : *now.verdict == op::Verdict::deny ? "deny"
                                               : "approve";
  }

  std::unique_ptr<Root> root_;
  std::unique_ptr<Rejudge> judge_;
  std::unique_ptr<RecordedCalls> calls_;
  std::string held_;
};

constexpr const char* kRefunds = R"(
  - { id: small, effect: allow, who: [agent:bot], on: { connection: payments, tools: [refund], args: { amount: { lte: 100 } } } }
  - { id: large, effect: approve, approval: leads, who: [agent:bot], on: { connection: payments, tools: [refund], args: { amount: { gt: 100 } } } }
  - { id: look, effect: allow, who: [agent:bot], on: { connection: payments, tools: [look] } }
  - { id: never, effect: deny, who: [any], on: { connection: payments, tools: [refund], args: { currency: { eq: XXX } } } }
)";

TEST_F(WhatIfTest, ArgumentsDecide) {
  Rules(kRefunds);
  EXPECT_EQ(Call("refund", R"("req":{"b":1,"json":{"amount":100}})"), "allow");
  EXPECT_EQ(Call("refund", R"("req":{"b":1,"json":{"amount":101}})"), "approve");
  EXPECT_EQ(Call("refund", R"("req":{"b":1,"json":{"amount":5,"currency":"XXX"}})"), "deny");
  EXPECT_EQ(Call("look", ""), "allow");
  EXPECT_EQ(Call("other", ""), "deny");
  EXPECT_EQ(Call("refund", R"("req":{"b":1,"json":{"amount":100}})", 7), "session-not-recorded");
}

TEST_F(WhatIfTest, WhatIsMaskedDecidesNothing) {
  Rules(kRefunds);
  const std::string at_card = R"("mask":[{"k":"pan","p":"/card","n":1}],)";
  EXPECT_EQ(Call("refund", at_card + R"("req":{"json":{"amount":5,"card":"************1111"}})"),
            "allow");
  // The masked value is what a rule looks at.
  EXPECT_EQ(Call("refund", R"("mask":[{"k":"pan","p":"/amount","n":1}],)"
                           R"("req":{"json":{"amount":"************1111"}})"),
            "masked-value");
  EXPECT_EQ(Call("refund", R"("mask":[{"k":"pan","p":"/currency","n":1}],)"
                           R"("req":{"json":{"amount":5,"currency":"************1111"}})"),
            "masked-value");
  // One number in several values has its place at the first of them only.
  EXPECT_EQ(Call("refund", at_card + R"("req":{"json":{"card":"****","currency":"****"}})"),
            "masked-value");
  // Totals only, or a place that is not there: it may stand anywhere.
  EXPECT_EQ(Call("refund", R"("mask":[{"k":"pan","p":"*","n":9}],"req":{"json":{"amount":5}})"),
            "masked-value");
  EXPECT_EQ(Call("refund", R"("mask":[{"k":"pan","p":"/a/b","n":9}],"req":{"json":{"amount":5}})"),
            "masked-value");
  // What no masked value could change.
  EXPECT_EQ(Call("look", at_card + R"("req":{"json":{"card":"************1111"}})"), "allow");
  EXPECT_EQ(Call("refund", at_card + R"("req":{"json":{"currency":"XXX","card":"****"}})"), "deny");
}

TEST_F(WhatIfTest, WhatWasCutDecidesNothing) {
  Rules(kRefunds);
  EXPECT_EQ(Call("refund", R"("req":{"b":99999,"cut":true,"text":"{\"amount\":5,"})"),
            "arguments-cut");
  EXPECT_EQ(Call("refund", R"("req":{"b":99999,"cut":true})"), "arguments-cut");
  EXPECT_EQ(Call("look", R"("req":{"b":99999,"cut":true})"), "allow");
  EXPECT_EQ(Call("other", R"("req":{"b":99999,"cut":true})"), "deny");
}

TEST_F(WhatIfTest, AnswersBesideArguments) {
  Rules(kRefunds);
  EXPECT_EQ(Call("look", R"("req":{"json":{"arguments":{},"inputResponses":{"q":1}}})"), "allow");
  EXPECT_EQ(Call("refund", R"("req":{"json":{"arguments":{"amount":5},"inputResponses":{}}})"),
            "answers-beside-arguments");
}

TEST_F(WhatIfTest, CallersThatAreNotWhoTheyWere) {
  Rules(kRefunds);
  Session(3, "mcp", R"({"iss":"i","sub":"x","idp":"corp","agent":"gone"})");
  EXPECT_EQ(Call("look", "", 3), "caller-not-configured");
  Session(3, "mcp", R"({"iss":"i","sub":"x","idp":"elsewhere","agent":"bot"})");
  EXPECT_EQ(Call("look", "", 3), "caller-not-configured");
  Session(3, "mcp", R"({"iss":"i","sub":"x","name":"ana","idp":"corp"})");
  EXPECT_EQ(Call("look", "", 3), "deny");
  Rules(kRefunds +
        std::string("  - { id: g, effect: allow, who: [group:staff], on: { connection: payments, "
                    "tools: [other] } }\n"));
  Session(3, "mcp", R"({"iss":"i","sub":"x","groups_cut":900,"agent":"bot"})");
  EXPECT_EQ(Call("look", "", 3), "groups-not-recorded");
  Session(3, "mcp", R"({"iss":"i","sub":"x","partial":true,"agent":"bot"})");
  EXPECT_EQ(Call("look", "", 3), "deny");
}

TEST_F(WhatIfTest, LimitsOfASession) {
  Rules(kRefunds);
  Session(3, "mcp", kWho, "u_1");
  EXPECT_EQ(Call("look", "", 3), "limits-not-recorded");
  Put(4, R"({"v":1,"e":"session.opened","t":5,"acc":{"sid":"u_2","lim":"tool=other"}})");
  Session(5, "mcp", kWho, "u_2");
  EXPECT_EQ(Call("look", "", 5), "deny");
  Put(6, R"({"v":1,"e":"session.opened","t":5,"acc":{"sid":"u_3","lim":"effect=read"}})");
  Session(7, "mcp", kWho, "u_3");
  EXPECT_EQ(Call("look", "", 7), "effect-not-recorded");
}

TEST_F(WhatIfTest, SignInIsNotRecorded) {
  Rules(
      "  - { id: a, effect: allow, who: [agent:bot], on: { connection: payments, tools: [look] }, "
      "require: { mfa: true } }\n");
  EXPECT_EQ(Call("look", ""), "sign-in-not-recorded");
  EXPECT_EQ(Call("other", ""), "deny");
}

TEST_F(WhatIfTest, SqlInArguments) {
  Rules(
      "  - { id: q, effect: allow, who: [agent:bot], on: { connection: payments, tools: "
      "[execute_sql], sql: { relations: [public.orders] } } }\n");
  EXPECT_EQ(Call("execute_sql", R"("req":{"json":{"sql":"select * from orders where id=1"}})"),
            "allow");
  EXPECT_EQ(Call("execute_sql", R"("req":{"json":{"sql":"select * from orders where id=2"}})"),
            "allow");
  EXPECT_EQ(Call("execute_sql", R"("req":{"json":{"sql":"select * from cards where id=2"}})"),
            "deny");
  EXPECT_EQ(Call("execute_sql", R"("req":{"json":{"sql":"selec"}})"), "deny");
  const std::string mask = R"("mask":[{"k":"pan","p":"/sql","n":1}],)";
  EXPECT_EQ(
      Call("execute_sql",
           mask + R"("req":{"json":{"sql":"select * from orders where n=************1111"}})"),
      "allow");
  EXPECT_EQ(
      Call("execute_sql", mask + R"("req":{"json":{"sql":"select * from orders *** ****(1111"}})"),
      "masked-value");
}

TEST_F(WhatIfTest, StatementsOnTheWire) {
  Rules(R"(
  - { id: q, effect: allow, who: [agent:bot], on: { connection: orders-db, sql: { statements: [SELECT], relations: [public.orders], columns: { deny: [public.orders.cvv] } } } }
  - { id: w, effect: approve, approval: leads, who: [agent:bot], on: { connection: orders-db, sql: { statements: [UPDATE], relations: [public.orders] } } }
)");
  EXPECT_EQ(Sql("select id from public.orders where id = 7"), "allow");
  EXPECT_EQ(Sql("select id from cards where id = 7"), "deny");
  EXPECT_EQ(Sql("update orders set a = 1 where id = 7"), "approve");
  EXPECT_EQ(Sql("update orders set a = 1 where id = 7", "", "parse"), "allow");
  EXPECT_EQ(Sql("update orders set a = 1 where id = 7", "", "bind"), "approve");
  // Which columns * stands for, the gateway knew from the catalog.
  EXPECT_EQ(Sql("select * from orders where id = 7"), "columns-not-recorded");
  EXPECT_EQ(Sql("execute something"), "name-of-the-session");
  EXPECT_EQ(Sql("set sallyport.unmask = 'pan'"), "setting-of-the-gateway");
  const std::string mask = R"(,"mask":[{"k":"pan","p":"/sql","n":1}])";
  EXPECT_EQ(Sql("select id from orders where n = ************1111", mask), "allow");
  EXPECT_EQ(Sql("select id from orders where (****", mask), "masked-value");
  EXPECT_EQ(Sql("select id from orders where ("), "deny");
  // A name without a schema decides: it is said that it was read as in public.
  const auto call =
      Put(9, R"({"v":1,"e":"call.intent","t":6,"s":2,"c":"orders-db","m":"query",)"
             R"("x":"allow","req":{"json":{"sql":"select id from orders limit 1"}}})");
  EXPECT_TRUE(judge_->Of(*call).assumed_public);
}

TEST_F(WhatIfTest, ConnectionsThatAreGone) {
  Rules(kRefunds);
  const auto call = Put(9, R"({"v":1,"e":"call.intent","t":6,"s":1,"c":"old","m":"tools/call",)"
                           R"("r":"look","x":"allow"})");
  EXPECT_EQ(Say(call), "deny");
  EXPECT_EQ(judge_->Of(*call).reason, Errc::connection_unknown);
}

TEST_F(WhatIfTest, PeriodsAndOtherEntries) {
  Rules(kRefunds);
  const std::string call =
      R"({"v":1,"e":"call.denied","t":100,"s":1,"c":"payments","m":"tools/call","x":"deny"})";
  EXPECT_TRUE(calls_->Take(9, call, 100, 101));
  EXPECT_FALSE(calls_->Take(9, call, 101, 0));
  EXPECT_FALSE(calls_->Take(9, call, 0, 100));
  EXPECT_FALSE(Put(9, R"({"v":1,"e":"call.outcome","t":100,"s":1,"i":3})"));
  EXPECT_FALSE(Put(9, "garbage"));
  EXPECT_FALSE(Put(9, R"({"e":"call.intent","v":2})"));
}

TEST_F(WhatIfTest, SameQuestionsAreJudgedOnce) {
  Rules(kRefunds);
  for (int i = 0; i < 5; ++i) {
    EXPECT_EQ(Call("refund", R"("req":{"json":{"amount":100}})"), "allow");
    EXPECT_EQ(Call("refund", R"("req":{"json":{"amount":101}})"), "approve");
  }
  EXPECT_EQ(judge_->judged_anew(), 2u);
}

TEST(WhatIfReport, IsSafeOnATerminal) {
  WhatIfReport report;
  report.examples.push_back({.who = "a\x1b[2Jb", .connection = "c", .method = "m"});
  report.differ[{op::Verdict::allow, op::Verdict::deny}] = 1;
  EXPECT_EQ(report.Text().find('\x1b'), std::string::npos);
  EXPECT_TRUE(json::Document::Parse(report.Json()));
}

}  // namespace
}  // namespace sallyport::config
