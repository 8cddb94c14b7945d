#include "mcp/to_wire.h"

#include <gtest/gtest.h>

#include "json/document.h"

namespace sallyport::mcp {
namespace {

op::Refusal Denied(Errc code) {
  op::Refusal refusal;
  refusal.error = Error(code);
  refusal.decision.reason = code;
  refusal.decision.rules = {"no-export"};
  refusal.decision.message = "Ask payments-security.";
  refusal.decision_id = "d_1";
  return refusal;
}

TEST(ToWire, ADeniedToolCallIsAToolResult) {
  const WireAnswer answer =
      ToWire(Denied(Errc::rule_deny), {.method = "tools/call", .name = "export", .modern = true});
  EXPECT_FALSE(answer.error);
  EXPECT_EQ(answer.status, 200);
  const auto doc = json::Document::Parse(answer.json);
  ASSERT_TRUE(doc) << answer.json;
  const json::Value root = doc->root();
  EXPECT_EQ(root["isError"].boolean(), true);
  EXPECT_EQ(root["resultType"].string(), "complete");
  EXPECT_EQ(root["content"].at(0)["text"].string(),
            "Blocked by policy no-export. Ask payments-security. Decision id d_1.");
  const json::Value gateway = root["structuredContent"]["gateway"];
  EXPECT_EQ(gateway["v"].integer(), 1);
  EXPECT_EQ(gateway["reason"].string(), "rule-deny");
  EXPECT_EQ(gateway["decision_id"].string(), "d_1");
  const auto typed = ToWire(Denied(Errc::rule_deny),
                            {.method = "tools/call", .name = "export", .output_schema = true});
  const auto typed_doc = json::Document::Parse(typed.json);
  EXPECT_FALSE(typed_doc->root()["structuredContent"])
      << "clients would check it against the tool's schema";
  EXPECT_TRUE(typed_doc->root()["_meta"]["sallyport/gateway"]["decision_id"]);
}

TEST(ToWire, AHiddenToolLooksLikeAnUnknownOne) {
  op::Refusal refusal = Denied(Errc::policy_default_deny);
  refusal.decision.hidden = true;
  const WireContext context{.method = "tools/call", .name = "secret", .modern = true};
  const WireAnswer hidden = ToWire(refusal, context), unknown = UnknownName(context);
  EXPECT_EQ(hidden.json, unknown.json);
  EXPECT_EQ(hidden.status, unknown.status);
  EXPECT_EQ(hidden.json, R"({"code":-32602,"message":"Unknown tool: secret"})");
}

TEST(ToWire, RateAndLedger) {
  op::Refusal refusal = Denied(Errc::rate_limited);
  refusal.retry_after_seconds = 7;
  const WireAnswer rate = ToWire(refusal, {.method = "tools/call"});
  EXPECT_EQ(rate.status, 429);
  EXPECT_TRUE(rate.error);
  EXPECT_EQ(rate.headers.Find("Retry-After"), "7");
  op::Refusal down;
  down.error = Error(Errc::ledger_unavailable);
  const WireAnswer closed = ToWire(down, {.method = "tools/call"});
  EXPECT_EQ(closed.status, 503);
  EXPECT_NE(closed.json.find("-32603"), std::string::npos);
}

TEST(ToWire, NoCodeFromReservedRanges) {
  for (int i = 0; i <= static_cast<int>(Errc::internal); ++i) {
    const WireAnswer answer =
        ToWire(Error(static_cast<Errc>(i), "detail"), {.method = "prompts/get", .modern = true});
    const auto doc = json::Document::Parse(answer.json);
    ASSERT_TRUE(doc);
    const int64_t code = *doc->root()["code"].integer();
    const bool standard = code == -32700 || (code <= -32600 && code >= -32603);
    const bool specified = code <= -32020 && code >= -32022;
    EXPECT_TRUE(standard || specified || code > 0) << code;
    EXPECT_TRUE(answer.status == 200 || answer.status >= 400);
  }
}

}  // namespace
}  // namespace sallyport::mcp
