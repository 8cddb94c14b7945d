#include "approval/binding.h"

#include <gtest/gtest.h>

namespace sallyport::approval {
namespace {

std::string Exact(std::string_view arguments, std::string_view answers = "") {
  const auto a = json::Document::Parse(arguments);
  op::Operation operation;
  operation.verb = op::Verb::tool_call;
  operation.arguments = a->root();
  if (answers.empty()) return ExactOf(operation);
  const auto b = json::Document::Parse(answers);
  operation.exact_answers = b->root();
  return ExactOf(operation);
}

TEST(Exact, OrderAndSpaceDoNotMatterEverythingElseDoes) {
  EXPECT_EQ(Exact(R"({ "b" : [1, {"y":2,"x":1}], "a":"z" })"),
            R"({"arguments":{"a":"z","b":[1,{"x":1,"y":2}]}})");
  EXPECT_NE(Exact(R"({"a":1})"), Exact(R"({"a":1.0})"));
  EXPECT_NE(Exact(R"({"a":"A"})"), Exact(R"({"a":"\u0041"})"));  // as written
  EXPECT_NE(Exact(R"({"a":[1,2]})"), Exact(R"({"a":[2,1]})"));
  EXPECT_NE(Exact(R"({"a":null})"), Exact(R"({})"));
  EXPECT_NE(Exact(R"({"a":1})"), Exact(R"({"a":1})", R"({"q":{"action":"accept"}})"));
  op::Operation none;
  none.verb = op::Verb::tool_call;
  EXPECT_EQ(ExactOf(none), "{}");
  EXPECT_NE(Exact("{}"), "{}");
}

TEST(Exact, ValuesInClearAreAnotherOperation) {
  const op::UnmaskAsk ask{{"iban", "pan"}, {}};
  op::Operation operation;
  operation.verb = op::Verb::tool_call;
  operation.unmask = &ask;
  EXPECT_EQ(ExactOf(operation), R"({"unmask":["iban","pan"]})");
  operation.verb = op::Verb::sql;
  operation.exact_sql.text = "SELECT 1";
  EXPECT_EQ(ExactOf(operation), R"({"sql":"SELECT 1","unmask":["iban","pan"]})");
}

TEST(Exact, MembersAreSortedByWhatTheyMean) {
  EXPECT_EQ(Exact(R"({"b":1,"\u0061":2})"), R"({"arguments":{"\u0061":2,"b":1}})");
}

TEST(Exact, StatementsWithFormatsTypesAndBytes) {
  op::Operation operation;
  operation.verb = op::Verb::sql;
  operation.exact_sql.text = "DELETE FROM t WHERE id = $1";
  EXPECT_EQ(ExactOf(operation), R"({"sql":"DELETE FROM t WHERE id = $1"})");
  const std::vector<std::string_view> values{"7", std::string_view("\0\xff", 2), ""};
  const std::vector<bool> nulls{false, false, true};
  const std::vector<int16_t> formats{0, 1, 0};
  const std::vector<uint32_t> types{23};
  operation.exact_sql.values = values;
  operation.exact_sql.nulls = &nulls;
  operation.exact_sql.formats = formats;
  operation.exact_sql.types = types;
  EXPECT_EQ(ExactOf(operation),
            R"({"sql":"DELETE FROM t WHERE id = $1","params":[)"
            R"({"type":23,"format":0,"value":"7"},{"type":0,"format":1,"value_base64":"AP8="},)"
            R"({"type":0,"format":0,"value":null}]})");
  const std::vector<int16_t> one{1};
  operation.exact_sql.formats = one;
  EXPECT_NE(ExactOf(operation).find(R"("format":1,"value":"7")"), std::string::npos);
  operation.exact_sql.context = "PREPARE p AS DELETE FROM t";
  EXPECT_NE(ExactOf(operation).find(R"("names":"PREPARE p)"), std::string::npos);
}

TEST(Binding, ChangesWithEachOfItsParts) {
  Request r;
  r.id = "a_1", r.target = "t", r.flow = "leads", r.connection = "payments", r.resource = "refund";
  r.requester.issuer = "i", r.requester.subject = "s";
  r.arguments = "ab", r.policy_version = "p", r.approvers = {"group:leads"}, r.expires = 7;
  r.verb = op::Verb::tool_call;
  EXPECT_EQ(
      Binding(r),
      R"({"v":1,"id":"a_1","issuer":"i","subject":"s","agent":"","connection":"payments","target":"t",)"
      R"("kind":"tool","resource":"refund","arguments":"ab","policy":"p","flow":"leads",)"
      R"("need":1,"approvers":["group:leads"],"expires":7})");
  const std::string digest = DigestOf(r);
  EXPECT_EQ(digest.size(), 64u);
  const auto changed = [&](auto change) {
    Request other = r;
    change(other);
    return DigestOf(other) != digest;
  };
  EXPECT_TRUE(changed([](Request& o) { o.unmask = op::UnmaskTerms{{"pan"}, 2, 9, {}}; }));
  EXPECT_TRUE(changed([](Request& o) { o.id = "a_2"; }));
  EXPECT_TRUE(changed([](Request& o) { o.requester.issuer = "x"; }));
  EXPECT_TRUE(changed([](Request& o) { o.requester.subject = "x"; }));
  EXPECT_TRUE(changed([](Request& o) { o.requester.agent = "x"; }));
  EXPECT_TRUE(changed([](Request& o) { o.connection = "x"; }));
  EXPECT_TRUE(changed([](Request& o) { o.target = "x"; }));
  EXPECT_TRUE(changed([](Request& o) { o.verb = op::Verb::sql; }));
  EXPECT_TRUE(changed([](Request& o) { o.resource = "x"; }));
  EXPECT_TRUE(changed([](Request& o) { o.arguments = "x"; }));
  EXPECT_TRUE(changed([](Request& o) { o.policy_version = "x"; }));
  EXPECT_TRUE(changed([](Request& o) { o.flow = "x"; }));
  EXPECT_TRUE(changed([](Request& o) { o.need = 2; }));
  EXPECT_TRUE(changed([](Request& o) { o.approvers = {}; }));
  EXPECT_TRUE(changed([](Request& o) { o.expires = 8; }));
  EXPECT_FALSE(changed([](Request& o) { o.state = State::approved; }));
}

}  // namespace
}  // namespace sallyport::approval
