#include "json/document.h"

#include <gtest/gtest.h>

namespace sallyport::json {
namespace {

std::string Reason(std::string_view text, Limits limits = {}) {
  auto doc = Document::Parse(text, limits);
  return doc ? "ok" : std::string(ReasonCode(doc.error().code));
}

TEST(Document, KeepsEveryByteWhereItStands) {
  const std::string text = R"( {"a" : [1, 2.50, "x\ny"], "b\u0061": {"c": null, "d": true}, "e": 12345678901234567890123} )";
  auto doc = Document::Parse(text);
  ASSERT_TRUE(doc) << doc.error().detail;
  Value root = doc->root();
  EXPECT_EQ(root.size(), 3u);
  EXPECT_EQ(root["a"].raw(), R"([1, 2.50, "x\ny"])");
  EXPECT_EQ(root["a"].at(1).raw(), "2.50");
  EXPECT_EQ(*root["a"].at(2).string(), "x\ny");
  EXPECT_EQ(root["ba"]["c"].kind(), Kind::null);
  EXPECT_EQ(root["ba"].raw_key(), R"("b\u0061")");
  EXPECT_EQ(*root["ba"]["d"].boolean(), true);
  EXPECT_EQ(root["e"].raw(), "12345678901234567890123");
  EXPECT_FALSE(root["e"].integer());
  EXPECT_FALSE(root["nope"]["deeper"].at(3));
  EXPECT_EQ(*root["a"].at(0).integer(), 1);
  EXPECT_EQ(root.raw(), std::string_view(text).substr(1, text.size() - 2));
  EXPECT_EQ(root["a"].next().key(), "ba");
}

TEST(Document, RefusesWhatTwoParsersCouldReadDifferently) {
  EXPECT_EQ(Reason(R"({"a":1,"a":2})"), "request-duplicate-key");
  EXPECT_EQ(Reason(R"({"a":1,"\u0061":2})"), "request-duplicate-key");
  EXPECT_EQ(Reason("{} {}"), "request-malformed");
  EXPECT_EQ(Reason("\xef\xbb\xbf{}"), "request-malformed");
  EXPECT_EQ(Reason("{\"a\":\"\xff\"}"), "request-malformed");
  EXPECT_EQ(Reason("[1,]"), "request-malformed");
  EXPECT_EQ(Reason("[01]"), "request-malformed");
  EXPECT_EQ(Reason("[tru]"), "request-malformed");
  EXPECT_EQ(Reason("[nul]"), "request-malformed");
  EXPECT_EQ(Reason("{\"a\":1"), "request-malformed");
  EXPECT_EQ(Reason(""), "request-malformed");
  EXPECT_EQ(Reason("[\"a\nb\"]"), "request-malformed");
  EXPECT_EQ(Reason("[1e999]"), "ok");
  EXPECT_EQ(Reason("[1e]"), "request-malformed");
}

TEST(Document, RefusesDuplicatesAmongMany) {
  std::string text = "{";
  for (int i = 0; i < 100; ++i) text += "\"k" + std::to_string(i) + "\":0,";
  EXPECT_EQ(Reason(text + "\"z\":0}"), "ok");
  EXPECT_EQ(Reason(text + "\"k50\":0}"), "request-duplicate-key");
}

TEST(Document, IsBounded) {
  EXPECT_EQ(Reason(std::string(64, '[') + std::string(64, ']')), "ok");
  EXPECT_EQ(Reason(std::string(65, '[') + std::string(65, ']')), "request-too-deep");
  EXPECT_EQ(Reason(std::string(10'000, '[') + std::string(10'000, ']')), "request-too-deep");
  EXPECT_EQ(Reason("[1,2,3]", {.max_bytes = 4}), "request-too-large");
}

TEST(Document, FindsTheEndOfAStringBehindBackslashes) {
  const std::string text = R"({"a\\":"\\","b\"":"\\\"\\","c":"\"","d":["\\\\","x\\\"y"]})";
  auto doc = Document::Parse(text);
  ASSERT_TRUE(doc) << doc.error().detail;
  EXPECT_TRUE(Document::Check(text));
  EXPECT_EQ(doc->root()["a\\"].raw(), R"("\\")");
  EXPECT_EQ(doc->root()["b\""].raw(), R"("\\\"\\")");
  EXPECT_EQ(*doc->root()["b\""].string(), "\\\"\\");
  EXPECT_EQ(doc->root()["c"].raw(), R"("\"")");
  EXPECT_EQ(doc->root()["d"].at(0).raw(), R"("\\\\")");
  EXPECT_EQ(doc->root()["d"].at(1).raw(), R"("x\\\"y")");
}

TEST(Document, OneTextDoesNotLeakIntoTheNext) {
  auto first = Document::Parse(R"(["\u0061",{"k\n":1}])");
  EXPECT_FALSE(Document::Check(R"({"a":1,"a":2})"));
  auto second = Document::Parse(R"({"\u0062":"\u0063"})");
  ASSERT_TRUE(first && second);
  EXPECT_EQ(*first->root().at(0).string(), "a");
  EXPECT_EQ(first->root().at(1).first().key(), "k\n");
  EXPECT_EQ(*second->root()["b"].string(), "c");
  std::string large = "[0";
  for (int i = 0; i < 10'000; ++i) large += R"(,"\n")";
  large += ']';
  auto third = Document::Parse(large);
  ASSERT_TRUE(third);
  EXPECT_EQ(third->root().size(), 10'001u);
  EXPECT_EQ(*third->root().at(10'000).string(), "\n");
}

TEST(Document, ReadsBareScalars) {
  EXPECT_EQ(*Document::Parse("\"x\"")->root().string(), "x");
  EXPECT_EQ(*Document::Parse(" 42 ")->root().integer(), 42);
  EXPECT_EQ(Reason("nope"), "request-malformed");
}

TEST(Quote, EscapesWhatMustBe) {
  EXPECT_EQ(Quote("a\"b\\c\n\x01é"), "\"a\\\"b\\\\c\\n\\u0001é\"");
}

}  // namespace
}  // namespace sallyport::json
