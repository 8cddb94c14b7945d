#include "ledger/search.h"

#include <fstream>
#include <gtest/gtest.h>
#include <sqlite3.h>

#include "json/document.h"
#include "ledger/entry.h"
#include "ledger/evidence_for_tests.h"
#include "ledger/render.h"
#include "ledger/replay.h"
#include "ledger/scratch_for_tests.h"

namespace sallyport::ledger {
namespace {

using op::EventType;
using op::Evidence;

constexpr Nanos kStart = 1'795'200'000'000'000'000;

/// Two sessions: an agent's with an allowed and a denied call, and a person's with nothing.
class SearchTest : public testing::Test {
 protected:
  void SetUp() override {
    auto ledger = Ledger::Open(TestOptions(dir_));
    ASSERT_TRUE(ledger) << ledger.error().detail;
    ledger_ = *std::move(ledger);
    Evidence e;
    e.type = EventType::log_init;
    e.at = kStart;
    Put(e);  // 0
    const auto agent = TestSession();
    e = {};
    e.type = EventType::auth_success;
    e.at = kStart + 1;
    e.opened = agent.get();
    e.connection = "payments";
    Put(e);  // 1
    e = TestIntent(1, "get_order", "{\"id\":\n\"o_1\"}");
    Put(e);  // 2
    e = {};
    e.type = EventType::call_outcome;
    e.at = kStart + 2'000'000'000;
    e.session = 1;
    e.intent = 2;
    e.duration_us = 1500;
    e.result = TestPayload(R"({"card":"**** **** **** 1111"})", true);
    e.masked = {{"pan", "/card", 1}};
    Put(e);  // 3
    e = TestIntent(1, "export_all", "{}");
    e.type = EventType::call_denied;
    e.verdict = op::Verdict::deny;
    e.decision_id = "d_denied";
    e.reason = Errc::policy_default_deny;
    e.at = kStart + 3'000'000'000;
    Put(e);  // 4
    const auto person = TestSession();
    person->id = "s_person";
    person->who.subject = "ana";
    person->who.name = "Ana";
    person->who.agent.clear();
    e = {};
    e.type = EventType::auth_success;
    e.at = kStart + 4'000'000'000;
    e.opened = person.get();
    Put(e);  // 5
    e = {};
    e.type = EventType::auth_failure;
    e.at = kStart + 5'000'000'000;
    e.address = "10.9.9.9";
    e.reason = Errc::token_expired;
    Put(e);  // 6
    e = {};
    e.type = EventType::session_close;
    e.at = kStart + 6'000'000'000;
    e.session = 1;
    e.count = 2;
    Put(e);  // 7
  }
  void Put(const Evidence& e) { ASSERT_TRUE(ledger_->AppendStrictBlocking(EncodeEntry(e))); }
  std::vector<uint64_t> Find(const SearchCriteria& c) {
    const auto found = Search(dir_.path(), c);
    EXPECT_TRUE(found) << found.error().detail;
    std::vector<uint64_t> indexes;
    if (found) {
      for (const Found& f : *found) indexes.push_back(f.index);
    }
    return indexes;
  }

  Scratch dir_;
  std::unique_ptr<Ledger> ledger_;
};

using Indexes = std::vector<uint64_t>;

TEST_F(SearchTest, FindsByEachCriterion) {
  EXPECT_EQ(Find({}), (Indexes{0, 1, 2, 3, 4, 5, 6, 7}));
  EXPECT_EQ(Find({.person = "agent-1"}), (Indexes{1, 2, 3, 4, 7}));
  EXPECT_EQ(Find({.person = "Ana"}), (Indexes{5}));
  EXPECT_EQ(Find({.agent = "agent-refunds"}), (Indexes{1, 2, 3, 4, 7}));
  EXPECT_EQ(Find({.tool = "get_order"}), (Indexes{2, 3}));
  EXPECT_EQ(Find({.connection = "payments"}), (Indexes{1, 2, 3, 4}));
  EXPECT_EQ(Find({.decision = "deny"}), (Indexes{4}));
  EXPECT_EQ(Find({.decision = "d_intent"}), (Indexes{2}));
  EXPECT_EQ(Find({.decision = "token-expired"}), (Indexes{6}));
  EXPECT_EQ(Find({.session = "s_person"}), (Indexes{5}));
  EXPECT_EQ(Find({.event = "call."}), (Indexes{2, 3, 4}));
  EXPECT_EQ(Find({.event = "call.denied"}), (Indexes{4}));
  EXPECT_EQ(Find({.from = kStart + 3'000'000'000, .to = kStart + 5'000'000'000}), (Indexes{4, 5}));
  EXPECT_EQ(Find({.first = 6}), (Indexes{6, 7}));
  EXPECT_EQ(Find({.limit = 2}), (Indexes{6, 7}));
  EXPECT_EQ(Find({.person = "' OR 1=1 --"}), (Indexes{}));
}

TEST_F(SearchTest, FindsTablesByTheWordsOfTheirSql) {
  const auto sql = [&](const std::string& text) {
    Put(TestIntent(1, "execute_sql", R"({"q":{"sql":)" + json::Quote(text) + "}}"));
  };
  sql("SELECT id FROM public.Orders WHERE id = 7");  // 8
  sql("SELECT id FROM public.Orders WHERE id = 8");  // 9
  sql("select 'orders' from payments");              // 10: only quoted
  sql("select e'\\'orders' from payments");          // 11: nobody is sure
  sql("select 1 from U&\"\\006frders\"");            // 12: written in escapes
  sql("orders are late");                            // 13: no SQL
  Evidence outcome;
  outcome.type = EventType::call_outcome;
  outcome.at = kStart;
  outcome.session = 1;
  outcome.intent = 8;
  Put(outcome);  // 14
  Evidence cut = TestIntent(1, "execute_sql", "{}");
  cut.request->complete = false;
  Put(cut);  // 15: its text is not all there
  EXPECT_EQ(Find({.table = "public.orders"}), (Indexes{8, 9, 11, 12, 14, 15}));
  EXPECT_EQ(Find({.table = "\"ORDERS\""}), (Indexes{8, 9, 11, 12, 14, 15}));
  EXPECT_EQ(Find({.table = "payments"}), (Indexes{10, 11, 12, 15}));
  EXPECT_EQ(Find({.table = "nothing"}), (Indexes{12, 15}));
}

TEST_F(SearchTest, FindsTokensOfCardsAndCountsWhatMatches) {
  Evidence call = TestIntent(1, "pay", "{}");
  call.request->cards = {"c1:aaaa", "c1:bbbb", "+"};
  Put(call);  // 8
  Evidence outcome;
  outcome.type = EventType::call_outcome;
  outcome.at = kStart;
  outcome.session = 1;
  outcome.intent = 8;
  outcome.result = TestPayload("{}", true);
  outcome.result->cards = {"c1:aaaa"};
  Put(outcome);  // 9
  EXPECT_EQ(Find({.card = "c1:aaaa"}), (Indexes{8, 9}));
  EXPECT_EQ(Find({.card = "c1:bbbb"}), (Indexes{8}));
  EXPECT_EQ(Find({.card = "c1:aaa"}), (Indexes{}));
  uint64_t matched = 0;
  const auto found = Search(dir_.path(), {.agent = "agent-refunds", .limit = 2}, &matched);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->size(), 2u);
  EXPECT_EQ(matched, 7u);
}

TEST_F(SearchTest, ResolvesWhoAndWhereAndTheIntent) {
  const auto found = Search(dir_.path(), {.event = "call.outcome"});
  ASSERT_TRUE(found);
  ASSERT_EQ(found->size(), 1u);
  const auto document = json::Document::Parse((*found)[0].json);
  ASSERT_TRUE(document) << (*found)[0].json;
  const json::Value root = document->root();
  EXPECT_EQ(root["session"]["id"].string(), "s_test");
  EXPECT_EQ(root["session"]["who"]["owner"].string(), "group:payments-platform");
  EXPECT_EQ(root["session"]["from"]["address"].string(), "10.0.0.7");
  EXPECT_EQ(root["resource"].string(), "get_order");
  EXPECT_EQ(root["outcome"]["ok"].boolean(), true);
  EXPECT_EQ(root["masked"].at(0)["kind"].string(), "pan");
  EXPECT_EQ(root["time"].string(), "2026-11-20T18:40:02.000000000Z");
  EXPECT_EQ(root["result"]["json"]["card"].string(), "**** **** **** 1111");
}

TEST_F(SearchTest, TheIndexIsNeverBelieved) {
  EXPECT_EQ(Find({}).size(), 8u);
  ASSERT_TRUE(std::filesystem::exists(dir_.path() / "index.sqlite"));
  EXPECT_EQ(std::filesystem::status(dir_.path() / "index.sqlite").permissions() &
                (std::filesystem::perms::group_all | std::filesystem::perms::others_all),
            std::filesystem::perms::none);
  dir_.WriteText("index.sqlite",
                 "this is no database, but long enough to be looked at as if it were one ......");
  EXPECT_EQ(Find({.decision = "deny"}), (Indexes{4}));
  // The index of another log: as long, but not the same entries.
  Scratch other;
  {
    auto ledger = Ledger::Open(TestOptions(other));
    ASSERT_TRUE(ledger);
    for (int i = 0; i < 8; ++i)
      ASSERT_TRUE((*ledger)->Append(R"({"v":1,"e":"log.stop","t":)" + std::to_string(i + 1) + "}"));
  }
  ASSERT_TRUE(Search(other.path(), {}));
  std::filesystem::copy_file(other.path() / "index.sqlite", dir_.path() / "index.sqlite",
                             std::filesystem::copy_options::overwrite_existing);
  EXPECT_EQ(Find({.decision = "deny"}), (Indexes{4}));
  // New entries are taken in.
  Evidence e;
  e.type = EventType::log_stop;
  Put(e);
  EXPECT_EQ(Find({.event = "log.stop"}), (Indexes{8}));
}

TEST_F(SearchTest, ReplaysASession) {
  const auto text = RenderReplay(dir_.path(), "s_test", ReplayFormat::text);
  ASSERT_TRUE(text) << text.error().detail;
  for (const char* expected :
       {"session s_test on connection payments (mcp 2025-11-25)",
        "Refund agent <agent-1 at https://idp.example.com>",
        "agent-refunds, owned by group:payments-platform", "→ tools/call get_order  allowed",
        "by refunds", "asked    {\"id\": \"o_1\"}", "← ok in 1.5 ms",
        "saw      {\"card\":\"**** **** **** 1111\"}", "masked   1 pan at /card",
        "✗ tools/call export_all  DENIED", "policy-default-deny", "closed after 2 operations",
        "18:40:02.000"}) {
    EXPECT_NE(text->find(expected), std::string::npos) << expected << "\nin\n" << *text;
  }
  const auto lines = RenderReplay(dir_.path(), "s_test", ReplayFormat::jsonl);
  ASSERT_TRUE(lines);
  EXPECT_EQ(std::count(lines->begin(), lines->end(), '\n'), 5);
  EXPECT_EQ(RenderReplay(dir_.path(), "s_nobody", ReplayFormat::text).error().code,
            Errc::not_found);
}

TEST_F(SearchTest, AnApprovalIsOneStoryWithItsSession) {
  const auto lead = TestSession();
  lead->who.subject = "lea", lead->who.name = "Lea";
  op::ApprovalEvidence about{.flow = "leads", .digest = "ab12", .state = "pending"};
  Evidence e = TestIntent(1, "refund_order", R"({"amount":900})");
  e.type = EventType::approval_requested;
  e.approval_id = "a_1";
  e.approval = &about;
  e.at = kStart + 10'000'000'000;
  Put(e);  // 8
  e.type = EventType::approval_decided;
  about.by = &lead->who, about.vote = "approve", about.reason = mask::Seal::Of("as agreed");
  e.request.reset();
  e.at = kStart + 135'000'000'000;
  Put(e);  // 9
  about.by = nullptr, about.vote = "", about.reason = {};
  e.type = EventType::approval_redeemed;
  e.session = 5;  // another session of the caller
  Put(e);         // 10
  e = TestIntent(5, "refund_order", R"({"amount":900})");
  e.verdict = op::Verdict::approve;
  e.approval_id = "a_1";
  Put(e);  // 11
  EXPECT_EQ(Find({.decision = "a_1"}), (std::vector<uint64_t>{8, 9, 10, 11}));
  EXPECT_EQ(Find({.session = "s_test"}), (std::vector<uint64_t>{1, 2, 3, 4, 7, 8, 9, 10, 11}));
  EXPECT_EQ(Find({.session = "s_person"}), (std::vector<uint64_t>{5, 8, 9, 10, 11}));
  const auto text = RenderReplay(dir_.path(), "s_test", ReplayFormat::text);
  ASSERT_TRUE(text) << text.error().detail;
  for (const char* words :
       {"approval a_1 asked for: refund_order, flow leads", "APPROVED by Lea <lea>",
        "after 2 min 5 s", "as agreed", "approval a_1 used", "allowed by approval a_1"}) {
    EXPECT_NE(text->find(words), std::string::npos) << words << "\n" << *text;
  }
}

TEST_F(SearchTest, AnIndexOfAnOlderVersionIsBuiltAnew) {
  const auto before = Find({.event = "call."});
  {
    sqlite3* db = nullptr;
    ASSERT_EQ(sqlite3_open((dir_.path() / "index.sqlite").c_str(), &db), SQLITE_OK);
    ASSERT_EQ(sqlite3_exec(db,
                           "DROP INDEX entry_approval; ALTER TABLE entry DROP COLUMN approval; "
                           "PRAGMA user_version = 0",
                           nullptr, nullptr, nullptr),
              SQLITE_OK);
    sqlite3_close(db);
  }
  EXPECT_EQ(Find({.event = "call."}), before);
}

TEST_F(SearchTest, TailFollows) {
  std::vector<uint64_t> seen;
  int idle = 0;
  const auto tailed = Tail(dir_.path(), 2, true, [&](const Found* f) {
    if (f != nullptr) seen.push_back(f->index);
    if (f == nullptr && ++idle == 1) {
      Evidence e;
      e.type = EventType::log_stop;
      Put(e);
    }
    return seen.size() < 3 && idle < 50;
  });
  EXPECT_TRUE(tailed);
  EXPECT_EQ(seen, (Indexes{6, 7, 8}));
}

TEST(Printable, KeepsTextAndShowsControls) {
  EXPECT_EQ(Printable("Zürich → 1 €"), "Zürich → 1 €");
  EXPECT_EQ(Printable("a\x1b[2Jb\x7f"), "a\\u001b[2Jb\\u007f");
  EXPECT_EQ(Printable("\xc2\x9b"), "\\u009b");
  EXPECT_EQ(Printable("\xe2\x80\xae"
                      "x"
                      "\xe2\x81\xa6"),
            "\\u202ex\\u2066");
  EXPECT_EQ(Printable("\xe2\x80\x94\xe2\x80\xa6"), "\xe2\x80\x94\xe2\x80\xa6");
}

}  // namespace
}  // namespace sallyport::ledger
