#include "mcp/unmask.h"

#include <gtest/gtest.h>

namespace sallyport::mcp {
namespace {

class UnmaskTest : public testing::Test {
 protected:
  UnmaskTest() {
    const std::vector<mask::DetectorSpec> specs = {{.name = "pan"}};
    rules_.masker = *mask::Masker::Make(specs, Secret("0123456789abcdef"));
  }
  Result<std::optional<op::UnmaskAsk>> Read(const std::string& meta,
                                            std::string_view method = "tools/call") {
    text_ = R"({"name":"t","_meta":{)" + meta + "}}";
    document_ = *json::Document::Parse(text_);
    ClientMessage message;
    message.method = method;
    message.params = document_.root();
    return ReadUnmask(message, rules_);
  }
  MaskRules rules_;
  std::string text_;  // which the document views
  json::Document document_;
};

TEST_F(UnmaskTest, IsReadAndItsReasonMasked) {
  EXPECT_EQ(*Read(R"("x":1)"), std::nullopt);
  const auto ask = Read(
      R"("sallyport\/unmask":{"detectors":["pan","iban","pan"],"reason":"case 4111111111111111"})");
  ASSERT_TRUE(ask && *ask);
  EXPECT_EQ((*ask)->detectors, (std::vector<std::string>{"iban", "pan"}));
  EXPECT_EQ((*ask)->reason.get(), "case ************1111");
}

TEST_F(UnmaskTest, OtherFormsAreRefused) {
  for (const char* value :
       {"true", "[]", "{}", R"({"detectors":[]})", R"({"detectors":"pan"})", R"({"detectors":[1]})",
        R"({"detectors":[""]})", R"({"detectors":["pan"],"reason":1})",
        R"({"detectors":["pan"],"max_values":9})"}) {
    const auto ask = Read(R"("sallyport/unmask":)" + std::string(value));
    ASSERT_FALSE(ask) << value;
    EXPECT_EQ(ask.error().code, Errc::request_malformed);
  }
  EXPECT_FALSE(Read(R"("sallyport/unmask":{"detectors":["pan"]})", "resources/read"));
}

TEST(WithoutUnmask, TakesOutThatMemberOnly) {
  EXPECT_EQ(
      WithoutUnmask(
          R"({"name":"t","_meta":{"a":1.0,"sallyport\/unmask":{"detectors":["pan"]},"b":2}})"),
      R"({"name":"t","_meta":{"a":1.0,"b":2}})");
  EXPECT_EQ(WithoutUnmask(R"({"_meta":{"sallyport/unmask":{}},"n":1})"), R"({"_meta":{},"n":1})");
  EXPECT_EQ(WithoutUnmask(R"({"n":1})"), R"({"n":1})");
  EXPECT_EQ(WithoutUnmask(""), "");
}

}  // namespace
}  // namespace sallyport::mcp
