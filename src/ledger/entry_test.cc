#include "ledger/entry.h"

#include <gtest/gtest.h>

#include "ledger/evidence_for_tests.h"
#include "ledger/writer.h"

namespace sallyport::ledger {
namespace {

using op::EventType;
using op::Evidence;

TEST(Entry, HasOneSpelling) {
  Evidence e;
  e.type = EventType::call_denied;
  e.at = 1'795'200'000'123'456'789;
  e.session = 7;
  e.operation = 3;
  e.connection = "payments";
  e.method = "tools/call";
  e.resource = "refund_order";
  e.decision_id = "d_0";
  e.verdict = op::Verdict::deny;
  e.rules = {"no-refunds"};
  e.policy_version = "00ff";
  e.reason = Errc::rule_deny;
  e.masked = {{"pan", "/arguments/note", 2}};
  EXPECT_EQ(
      EncodeEntry(e),
      R"({"v":1,"e":"call.denied","t":1795200000123456789,"s":7,"n":3,"c":"payments","m":"tools/call",)"
      R"("r":"refund_order","d":"d_0","x":"deny","rules":["no-refunds"],"p":"00ff","why":"rule-deny",)"
      R"("mask":[{"k":"pan","p":"/arguments/note","n":2}]})");
}

TEST(Entry, ApprovalsSayWhoAndWhat) {
  const auto voter = TestSession();
  op::ApprovalEvidence approval{.flow = "leads",
                                .digest = "ab12",
                                .binding = R"({"v":1})",
                                .expires = 9,
                                .by = &voter->who,
                                .vote = "approve",
                                .reason = mask::Seal::Of("as agreed"),
                                .assertion = R"({"k":"v"})",
                                .state = "approved"};
  Evidence e;
  e.type = EventType::approval_decided;
  e.at = 5;
  e.session = 7;
  e.approval_id = "a_1";
  e.approval = &approval;
  const std::string bytes = EncodeEntry(e);
  EXPECT_TRUE(bytes.starts_with(
      R"({"v":1,"e":"approval.decided","t":5,"s":7,"a":"a_1","ap":{"flow":"leads","dg":"ab12",)"
      R"("bind":{"v":1},"exp":9,"by":{"iss":"https://idp.example.com","sub":"agent-1",)"))
      << bytes;
  EXPECT_TRUE(
      bytes.ends_with(R"("vote":"approve","reason":"as agreed","sig":{"k":"v"},"st":"approved"}})"))
      << bytes;
  EXPECT_TRUE(DecodeEntry(bytes));
}

TEST(Entry, SessionIsToldOnce) {
  const auto session = TestSession();
  Evidence e;
  e.type = EventType::auth_success;
  e.opened = session.get();
  e.connection = "payments";
  const std::string bytes = EncodeEntry(e);
  const auto entry = DecodeEntry(bytes);
  ASSERT_TRUE(entry) << entry.error().detail;
  EXPECT_EQ(entry->event, "auth.success");
  const json::Value root = entry->document.root();
  EXPECT_EQ(root["sid"].string(), "s_test");
  EXPECT_EQ(root["who"]["sub"].string(), "agent-1");
  EXPECT_EQ(root["who"]["groups"].size(), 2u);
  EXPECT_EQ(root["from"].string(), "10.0.0.7");
}

TEST(Entry, PayloadsStandInItAsTheyAre) {
  Evidence e = TestIntent(5, "get_order", R"({"id": "o_1", "n": 1.50})");
  const std::string bytes = EncodeEntry(e);
  EXPECT_NE(bytes.find(R"("req":{"b":24,"json":{"id": "o_1", "n": 1.50}})"), std::string::npos)
      << bytes;
  e.request = TestPayload("say \"hi\"\n", false);
  EXPECT_NE(EncodeEntry(e).find(R"("text":"say \"hi\"\n")"), std::string::npos) << EncodeEntry(e);
}

TEST(Entry, NeverExceedsTheLimitAndSaysWhatItLost) {
  Evidence e = TestIntent(5, "get_order", "\"" + std::string(40'000, 'a') + "\"");
  e.result = TestPayload("\"" + std::string(40'000, 'b') + "\"", true);
  std::string bytes = EncodeEntry(e);
  EXPECT_LE(bytes.size(), kMaxEntryBytes);
  auto entry = DecodeEntry(bytes);
  ASSERT_TRUE(entry);
  EXPECT_TRUE(entry->document.root()["req"]["json"]);
  EXPECT_EQ(entry->document.root()["res"]["cut"].boolean(), true);
  EXPECT_EQ(entry->document.root()["res"]["b"].integer(), 40'002);

  for (int i = 0; i < 5000; ++i) e.masked.push_back({"pan", "/content/" + std::to_string(i), 1});
  const auto session = TestSession();
  session->who.groups.assign(20'000, "group");
  e.opened = session.get();
  e.resource = std::string(100'000, '\xc3');  // cut between bytes that look like characters
  bytes = EncodeEntry(e);
  EXPECT_LE(bytes.size(), kMaxEntryBytes);
  EXPECT_NE(bytes.find(R"("mask":[{"k":"pan","p":"*","n":5000}])"), std::string::npos);
  EXPECT_NE(bytes.find(R"("groups_cut":20000)"), std::string::npos);
}

TEST(Entry, DecodingRefusesWhatIsNoEntry) {
  for (std::string_view bad :
       {"", "{", "[]", "null", R"({"v":2,"e":"x","t":1})", R"({"v":1,"t":1})",
        R"({"v":1,"e":"","t":1})", R"({"v":1,"e":"x"})", R"({"v":1,"e":"x","t":"1"})",
        R"({"v":1,"e":"x","t":1,"s":-1})", R"({"v":1,"e":"x","t":1,"s":"2"})",
        R"({"v":1,"e":"x","t":1}{})", R"({"v":1,"v":1,"e":"x","t":1})"}) {
    EXPECT_FALSE(DecodeEntry(bad)) << bad;
  }
  EXPECT_TRUE(DecodeEntry(R"({"v":1,"e":"log.init","t":1})"));
}

}  // namespace
}  // namespace sallyport::ledger
