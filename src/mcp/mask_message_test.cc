#include "mcp/mask_message.h"

#include <gtest/gtest.h>

#include "base/bytes.h"

namespace sallyport::mcp {
namespace {

constexpr std::string_view kPan = "4111111111111111";

class MaskMessageTest : public testing::Test {
 protected:
  MaskMessageTest() {
    const std::vector<mask::DetectorSpec> specs = {
        {.name = "pan", .kind = mask::DetectorKind::pan},
        {.name = "sad", .kind = mask::DetectorKind::sad, .action = mask::Action::block}};
    rules_ = {*mask::Masker::Make(specs, Secret("0123456789abcdef")), &content_, true, 4096};
  }
  static std::string B64(std::string_view text) { return Base64Encode(AsBytes(text)); }
  static ToolDefinition Tool(std::string_view schema) {
    const std::string text = R"({"name":"t","outputSchema":)" + std::string(schema) + "}";
    return ReadToolDefinition(json::Document::Parse(text)->root());
  }

  std::vector<config::ContentRule> content_;
  MaskRules rules_;
};

TEST_F(MaskMessageTest, UntouchedBytesStay) {
  const std::string text =
      R"({ "content" : [ {"type":"text","text":"nothing\u0020here 1e400"} ] })";
  EXPECT_EQ(MaskResult(rules_, text)->json, text);
}

TEST_F(MaskMessageTest, TextAndStructureSayTheSame) {
  const auto masked = MaskResult(
      rules_,
      R"({"content":[{"type":"text","text":"{\"card\":\"4111111111111111\"}"}],"structuredContent":{"card":"4111111111111111"}})");
  ASSERT_TRUE(masked);
  EXPECT_EQ(masked->json.find(kPan), std::string::npos);
  EXPECT_NE(masked->json.find(R"(\"card\":\"************1111\")"), std::string::npos)
      << masked->json;
  EXPECT_NE(masked->json.find(R"("card":"************1111")"), std::string::npos);
  EXPECT_FALSE(masked->counts.empty());
}

TEST_F(MaskMessageTest, NumbersKeepToTheSchema) {
  const ToolDefinition tool = Tool(R"({"type":"object","properties":{"card":{"type":"integer"}}})");
  const auto masked =
      MaskResult(rules_, R"({"content":[],"structuredContent":{"card":4111111111111111}})", &tool);
  ASSERT_TRUE(masked);
  const auto doc = json::Document::Parse(masked->json);
  const auto number = doc->root()["structuredContent"]["card"].integer();
  ASSERT_TRUE(number) << masked->json;
  EXPECT_NE(*number, 4111111111111111);
}

TEST_F(MaskMessageTest, Base64TextIsMaskedInside) {
  const auto masked =
      MaskResult(rules_, R"({"contents":[{"uri":"a","mimeType":"text/plain","blob":")" +
                             B64("card 4111111111111111.") + R"("}]})");
  ASSERT_TRUE(masked);
  const auto doc = json::Document::Parse(masked->json);
  const auto bytes = Base64Decode(*doc->root()["contents"].at(0)["blob"].string());
  ASSERT_TRUE(bytes);
  EXPECT_EQ(AsText(*bytes), "card ************1111.");
}

TEST_F(MaskMessageTest, OpaqueContentFollowsTheRules) {
  const std::string image = R"({"content":[{"type":"image","mimeType":"image/png","data":")" +
                            B64("\x89PNG....") + R"("}]})";
  const auto refused = MaskResult(rules_, image);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::content_type_refused);
  content_ = {{"image/*", config::OpaqueAction::pass}};
  EXPECT_EQ(MaskResult(rules_, image)->json, image);
  const auto hidden =
      MaskResult(rules_, R"({"content":[{"type":"image","mimeType":"image/png","data":")" +
                             B64("\x89PNG tEXt 4111111111111111 ") + R"("}]})");
  EXPECT_FALSE(hidden) << "a card number in a picture's text";
  content_ = {{"image/*", config::OpaqueAction::strip}};
  const auto stripped = MaskResult(rules_, image);
  ASSERT_TRUE(stripped);
  EXPECT_EQ(stripped->json.find("image/png"), std::string::npos);
  EXPECT_TRUE(json::Document::Parse(stripped->json));
  content_.clear();
  rules_.cde = false;
  EXPECT_TRUE(MaskResult(rules_, image));
}

TEST_F(MaskMessageTest, SensitiveAuthenticationDataRefusesTheWhole) {
  const auto refused = MaskResult(
      rules_,
      R"({"content":[{"type":"text","text":"%B4111111111111111^DOE/JOHN^28121010000000000000?"}]})");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::sad_refused);
}

TEST_F(MaskMessageTest, ErrorsAndProgress) {
  const auto error = MaskError(
      rules_,
      R"({"code":-32000,"message":"no card 4111111111111111","data":{"pan":"4111111111111111"}})");
  ASSERT_TRUE(error);
  EXPECT_EQ(error->json.find(kPan), std::string::npos);
  EXPECT_TRUE(error->json.starts_with(R"({"code":-32000,)"));
  const auto params = MaskParams(
      rules_, R"({"progressToken":7,"progress":4111111111111111,"message":"4111111111111111"})");
  ASSERT_TRUE(params);
  EXPECT_EQ(params->json.find(kPan), std::string::npos);
  EXPECT_TRUE(json::Document::Parse(params->json)->root()["progress"].is(json::Kind::number));
}

TEST_F(MaskMessageTest, TheEnvelopeIsLookedIntoUnlessItIsOurs) {
  for (const std::string_view field :
       {"resultType", "cacheScope", "requestState", "taskId", "progressToken", "_meta"}) {
    const std::string text = '"' + std::string(field) + R"(":{"a":"4111111111111111"})";
    const auto result = MaskResult(rules_, R"({"content":[],)" + text + '}');
    ASSERT_TRUE(result);
    EXPECT_EQ(result->json.find(kPan), std::string::npos) << result->json;
    const auto params = MaskParams(rules_, '{' + text + '}');
    ASSERT_TRUE(params);
    EXPECT_EQ(params->json.find(kPan), std::string::npos) << params->json;
  }
  EXPECT_NE(MaskResult(rules_, R"({"taskId":"4111111111111111"})", nullptr, {}, {"/taskId"})
                ->json.find(kPan),
            std::string::npos);
}

TEST_F(MaskMessageTest, DigitsThatAreBase64AreNoPicture) {
  content_ = {{"image/*", config::OpaqueAction::pass}};
  EXPECT_FALSE(MaskResult(
      rules_,
      R"({"content":[{"type":"image","mimeType":"image/png","data":"4111111111111111"}]})"));
}

TEST_F(MaskMessageTest, WhatIsNoJsonDoesNotPass) {
  EXPECT_FALSE(MaskResult(rules_, R"({"content":"4111111111111111)"));
}

}  // namespace
}  // namespace sallyport::mcp
