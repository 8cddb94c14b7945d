#include "mcp/fit_schema.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "mcp/mask_message.h"

namespace sallyport::mcp {
namespace {

using testing::HasSubstr;
using testing::MatchesRegex;

class FitSchemaTest : public testing::Test {
 protected:
  FitSchemaTest() { Use(mask::Render::last4); }
  void Use(mask::Render render) {
    const std::vector<mask::DetectorSpec> specs = {
        {.name = "pan", .kind = mask::DetectorKind::pan, .render = render},
        {.name = "sad", .kind = mask::DetectorKind::sad}};
    rules_ = {*mask::Masker::Make(specs, Secret("0123456789abcdef")), &content_, false, 4096};
  }
  /// `structuredContent` of {"v": value} after masking, where the schema of v is `schema`; or the
  /// name of the error.
  std::string Masked(std::string_view schema, std::string_view value) {
    return MaskedWhole(R"({"type":"object","properties":{"v":)" + std::string(schema) + "}}",
                       R"({"v":)" + std::string(value) + "}");
  }
  std::string MaskedWhole(const std::string& schema, const std::string& value) {
    const std::string text = R"({"name":"t","outputSchema":)" + schema + "}";
    const ToolDefinition tool = ReadToolDefinition(json::Document::Parse(text)->root());
    const auto masked =
        MaskResult(rules_, R"({"content":[],"structuredContent":)" + value + "}", &tool);
    if (!masked) return std::string(ReasonCode(masked.error().code));
    EXPECT_EQ(masked->json.find("4111111111111111"), std::string::npos);
    EXPECT_EQ(masked->json.find("4111 1111 1111 1111"), std::string::npos);
    const auto again = MaskResult(rules_, masked->json, &tool);
    EXPECT_TRUE(again && again->json == masked->json) << "masking again changes it";
    const auto doc = json::Document::Parse(masked->json);
    const json::Value content = doc->root()["structuredContent"];
    // What goes out keeps to the schema, whatever form it took.
    size_t steps = 100'000;
    EXPECT_EQ(SchemaCheck(schema).Check(content, {}, steps).kind, SchemaCheck::Verdict::Kind::fits);
    return std::string(content["v"] ? content["v"].raw() : content.raw());
  }

  std::vector<config::ContentRule> content_;
  MaskRules rules_;
};

constexpr std::string_view kPan = R"("4111111111111111")";
constexpr std::string_view kMaskedPan = R"("************1111")";

TEST_F(FitSchemaTest, AValueThatFitsIsOnlyMasked) {
  EXPECT_EQ(Masked(R"({"type":"string","maxLength":16})", kPan), kMaskedPan);
  EXPECT_EQ(Masked(R"({"type":"string","pattern":"^[0-9*]{16}$"})", kPan), kMaskedPan);
  EXPECT_EQ(Masked(R"({"type":["string","null"]})", kPan), kMaskedPan);
  EXPECT_EQ(Masked("true", kPan), kMaskedPan);
}

TEST_F(FitSchemaTest, LengthIsKept) {
  Use(mask::Render::token);
  EXPECT_THAT(Masked(R"({"type":"string"})", kPan), MatchesRegex("\"pan_.*\""));
  EXPECT_EQ(Masked(R"({"type":"string","maxLength":19})", kPan), R"("****************")");
  EXPECT_EQ(Masked(R"({"type":["string","null"],"maxLength":19})", kPan), "null");
  // "[SAD removed]" is longer than a card verification code.
  EXPECT_THAT(MaskedWhole(R"({"properties":{"cvv":{"type":"string","maxLength":4}}})",
                          R"({"card_number":"4111111111111111","cvv":"123"})"),
              HasSubstr(R"("cvv":"***")"));
}

TEST_F(FitSchemaTest, PatternIsKept) {
  EXPECT_THAT(Masked(R"({"type":"string","pattern":"^[0-9]{16}$"})", kPan),
              MatchesRegex("\"7[0-9]+\""));
  EXPECT_THAT(Masked(R"({"type":"string","pattern":"^([0-9]{4} ){3}[0-9]{4}$"})",
                     R"("4111 1111 1111 1111")"),
              MatchesRegex("\"7[0-9]+ [0-9]+ [0-9]+ [0-9]+\""));
  EXPECT_EQ(Masked(R"({"type":["string","null"],"pattern":"^[0-9]{16}$"})", kPan), "null");
  EXPECT_EQ(Masked(R"({"type":"string","pattern":"^4[0-9]{15}$"})", kPan), "mask-failed");
  EXPECT_EQ(
      Masked(R"({"type":"string","pattern":"^card [0-9]{16}$"})", R"("card 4111111111111111")"),
      "mask-failed");
  // What RE2 does not take cannot be judged.
  EXPECT_EQ(Masked(R"({"type":"string","pattern":"^(?=4)[0-9*]+$"})", kPan), "mask-failed");
}

TEST_F(FitSchemaTest, EnumConstAndFormatRefuseWhatTheyDoNotHave) {
  EXPECT_EQ(Masked(R"({"enum":["4111111111111111","none"]})", kPan), "mask-failed");
  EXPECT_EQ(Masked(R"({"enum":["4111111111111111",null]})", kPan), "null");
  EXPECT_EQ(Masked(R"({"const":"4111111111111111"})", kPan), "mask-failed");
  EXPECT_EQ(Masked(R"({"type":"string","format":"credit-card"})", kPan), "mask-failed");
}

TEST_F(FitSchemaTest, NumbersKeepTheirBounds) {
  EXPECT_THAT(Masked(R"({"type":"integer","maximum":9999999999999999})", "4111111111111111"),
              MatchesRegex("7[0-9]+"));
  EXPECT_EQ(Masked(R"({"type":"integer","maximum":4999999999999999})", "4111111111111111"),
            "mask-failed");
  EXPECT_EQ(Masked(R"({"type":["integer","null"],"maximum":4999999999999999})", "4111111111111111"),
            "null");
  EXPECT_THAT(Masked(R"({"anyOf":[{"type":"integer"},{"type":"string","maxLength":4}]})",
                     "4111111111111111"),
              MatchesRegex("7[0-9]+"));
}

TEST_F(FitSchemaTest, ReferencesAndAlternativesAreFollowed) {
  EXPECT_EQ(MaskedWhole(R"({"type":"object","properties":{"rows":{"type":"array","items":
      {"$ref":"#/$defs/row"}}},"$defs":{"row":{"type":"object","properties":
      {"pan":{"oneOf":[{"type":"string","pattern":"^[0-9]+$"},{"type":"null"}]}}}}})",
                        R"({"rows":[{"pan":"4111111111111111"},{"pan":"5555555555554444"}]})"),
            R"({"rows":[{"pan":null},{"pan":null}]})");
  EXPECT_THAT(Masked(R"({"not":{"pattern":"\\*"}})", kPan), MatchesRegex("\"7[0-9]+\""));
  EXPECT_EQ(Masked(R"({"$ref":"https://schemas.example.com/card"})", kPan), "mask-failed");
}

TEST_F(FitSchemaTest, DistinctNumbersStayDistinctWhereTheSchemaAsks) {
  // Both end in 1111.
  EXPECT_THAT(Masked(R"({"type":"array","uniqueItems":true,"items":{"type":"string"}})",
                     R"(["4111111111111111","4242424242461111"])"),
              MatchesRegex("\\[\"7[0-9]+\",\"7[0-9]+\"\\]"));
}

TEST_F(FitSchemaTest, OtherDoubtsOfTheServersOwnValuesDoNotMatter) {
  EXPECT_EQ(MaskedWhole(R"({"properties":{"v":{"type":"string"},
      "day":{"type":"string","format":"date"},"x":{"type":"string","pattern":"(?!a)b"}}})",
                        R"({"v":"4111111111111111","day":"2026-11-21","x":"b"})"),
            kMaskedPan);
}

TEST_F(FitSchemaTest, HostileSchemasCostLittle) {
  std::string many = R"({"$ref":"#"})";
  for (int i = 0; i < 9; ++i) many += R"(,{"$ref":"#"})";
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_EQ(Masked(R"({"anyOf":[)" + many + "]}", kPan), "mask-failed");
  EXPECT_EQ(MaskedWhole(R"({"allOf":[)" + many + "]}", R"({"v":"4111111111111111"})"),
            "mask-failed");
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(5));
}

}  // namespace
}  // namespace sallyport::mcp
