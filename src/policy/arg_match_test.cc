#include "policy/arg_match.h"

#include <gtest/gtest.h>

namespace sallyport::policy {
namespace {

using Is = ArgMatcher::Test;

Fit Evaluate(std::string path, Is test, std::vector<std::string> values,
             std::string_view arguments) {
  auto conditions =
      ArgConditions::Make({{.path = std::move(path), .test = test, .values = std::move(values)}});
  EXPECT_TRUE(conditions.has_value()) << (conditions ? "" : conditions.error().detail);
  auto document = json::Document::Parse(arguments);
  EXPECT_TRUE(document.has_value());
  return conditions->Evaluate(document->root());
}

TEST(ArgMatch, Equality) {
  EXPECT_EQ(Evaluate("a", Is::eq, {"1"}, R"({"a":1.0})"), Fit::yes);
  EXPECT_EQ(Evaluate("a", Is::eq, {"1"}, R"({"a":2})"), Fit::no);
  EXPECT_EQ(Evaluate("a", Is::eq, {"1"}, R"({"a":"1"})"), Fit::unsure);
  EXPECT_EQ(Evaluate("a", Is::eq, {"9007199254740993"}, R"({"a":9007199254740992})"), Fit::no);
  EXPECT_EQ(Evaluate("a", Is::eq, {"\"x\""}, R"({"a":"\u0078"})"), Fit::yes);
  EXPECT_EQ(Evaluate("a", Is::eq, {"true"}, R"({"a":true})"), Fit::yes);
  EXPECT_EQ(Evaluate("a", Is::eq, {"true"}, R"({"a":false})"), Fit::no);
  EXPECT_EQ(Evaluate("a", Is::eq, {"true"}, R"({"a":"true"})"), Fit::unsure);
  EXPECT_EQ(Evaluate("a", Is::eq, {"null"}, R"({"a":null})"), Fit::yes);
  EXPECT_EQ(Evaluate("a", Is::eq, {"\"x\""}, R"({"a":null})"), Fit::unsure);
  EXPECT_EQ(Evaluate("a", Is::eq, {"\"x\""}, R"({"b":"x"})"), Fit::no);
}

TEST(ArgMatch, OneOf) {
  EXPECT_EQ(Evaluate("a", Is::in, {"\"EUR\"", "\"USD\""}, R"({"a":"USD"})"), Fit::yes);
  EXPECT_EQ(Evaluate("a", Is::in, {"\"EUR\"", "\"USD\""}, R"({"a":"usd"})"), Fit::no);
  EXPECT_EQ(Evaluate("a", Is::in, {"\"EUR\"", "1"}, R"({"a":1e0})"), Fit::yes);
  EXPECT_EQ(Evaluate("a", Is::in, {"\"EUR\""}, R"({"a":["EUR"]})"), Fit::unsure);
}

TEST(ArgMatch, Order) {
  EXPECT_EQ(Evaluate("a", Is::lt, {"100"}, R"({"a":99.99})"), Fit::yes);
  EXPECT_EQ(Evaluate("a", Is::lt, {"100"}, R"({"a":100})"), Fit::no);
  EXPECT_EQ(Evaluate("a", Is::lte, {"100"}, R"({"a":100.0})"), Fit::yes);
  EXPECT_EQ(Evaluate("a", Is::gt, {"100"}, R"({"a":1e2})"), Fit::no);
  EXPECT_EQ(Evaluate("a", Is::gt, {"100"}, R"({"a":101})"), Fit::yes);
  EXPECT_EQ(Evaluate("a", Is::gte, {"100"}, R"({"a":100})"), Fit::yes);
  EXPECT_EQ(Evaluate("a", Is::gt, {"100"}, R"({"a":"900"})"), Fit::unsure);
  EXPECT_EQ(Evaluate("a", Is::gt, {"100"}, R"({"a":null})"), Fit::unsure);
  EXPECT_EQ(Evaluate("a", Is::gt, {"100"}, R"({"a":1e99999999999})"), Fit::unsure);
  EXPECT_EQ(Evaluate("a", Is::gt, {"100"}, R"({})"), Fit::no);
}

TEST(ArgMatch, RegularExpressionMatchesTheWholeValue) {
  EXPECT_EQ(Evaluate("a", Is::matches, {"o_[a-z0-9]{8}"}, R"({"a":"o_1a2b3c4d"})"), Fit::yes);
  EXPECT_EQ(Evaluate("a", Is::matches, {"o_[a-z0-9]{8}"}, R"({"a":"xo_1a2b3c4d"})"), Fit::no);
  EXPECT_EQ(Evaluate("a", Is::matches, {"o_[a-z0-9]{8}"}, R"({"a":"o_1a2b3c4d\n"})"), Fit::no);
  EXPECT_EQ(Evaluate("a", Is::matches, {"a|b"}, R"({"a":"ab"})"), Fit::no);
  EXPECT_EQ(Evaluate("a", Is::matches, {"[0-9]+"}, R"({"a":12})"), Fit::unsure);
}

TEST(ArgMatch, Presence) {
  EXPECT_EQ(Evaluate("a", Is::absent, {}, R"({})"), Fit::yes);
  EXPECT_EQ(Evaluate("a", Is::absent, {}, R"({"a":0})"), Fit::no);
  EXPECT_EQ(Evaluate("a", Is::absent, {}, R"({"a":null})"), Fit::unsure);
  EXPECT_EQ(Evaluate("a", Is::present, {}, R"({"a":0})"), Fit::yes);
  EXPECT_EQ(Evaluate("a", Is::present, {}, R"({})"), Fit::no);
}

TEST(ArgMatch, Paths) {
  EXPECT_EQ(Evaluate("customer.address.country", Is::eq, {"\"DE\""},
                     R"({"customer":{"address":{"country":"DE"}}})"),
            Fit::yes);
  EXPECT_EQ(Evaluate("items.1.id", Is::eq, {"7"}, R"({"items":[{"id":6},{"id":7}]})"), Fit::yes);
  EXPECT_EQ(Evaluate("items.2.id", Is::eq, {"7"}, R"({"items":[{"id":6},{"id":7}]})"), Fit::no);
  EXPECT_EQ(Evaluate("items.x", Is::eq, {"7"}, R"({"items":[1]})"), Fit::unsure);
  EXPECT_EQ(Evaluate("a.b", Is::eq, {"7"}, R"({"a":"text"})"), Fit::unsure);
  EXPECT_EQ(Evaluate("/a.b/c", Is::eq, {"7"}, R"({"a.b":{"c":7}})"), Fit::yes);
}

TEST(ArgMatch, RefusesWhatCannotBeCompared) {
  auto refused = [](std::string path, Is test, std::vector<std::string> values) {
    return !ArgConditions::Make(
        {{.path = std::move(path), .test = test, .values = std::move(values)}});
  };
  EXPECT_TRUE(refused("", Is::eq, {"1"}));
  EXPECT_TRUE(refused("a..b", Is::eq, {"1"}));
  EXPECT_TRUE(refused("items.*.id", Is::eq, {"1"}));
  EXPECT_TRUE(refused("a", Is::eq, {}));
  EXPECT_TRUE(refused("a", Is::eq, {"1", "2"}));
  EXPECT_TRUE(refused("a", Is::eq, {"[1]"}));
  EXPECT_TRUE(refused("a", Is::eq, {"nonsense"}));
  EXPECT_TRUE(refused("a", Is::lt, {"\"1\""}));
  EXPECT_TRUE(refused("a", Is::in, {}));
  EXPECT_TRUE(refused("a", Is::matches, {"("}));
  EXPECT_TRUE(refused("a", Is::matches, {std::string(2000, 'a')}));
}

}  // namespace
}  // namespace sallyport::policy
