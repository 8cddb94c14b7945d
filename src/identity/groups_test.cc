#include "identity/groups.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <string>

namespace sallyport::identity {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

Groups Read(const std::string& claims, std::string_view name = "groups", size_t cut_at = 100) {
  auto doc = json::Document::Parse(claims);
  EXPECT_TRUE(doc) << claims;
  return ReadGroups(doc->root(), name, cut_at);
}

std::string List(size_t n) {
  std::string out = R"({"groups":[)";
  for (size_t i = 0; i < n; ++i) out += (i == 0 ? "\"g" : ",\"g") + std::to_string(i) + "\"";
  return out + "]}";
}

TEST(Groups, PlainListOneNameAndNestedPath) {
  auto g = Read(R"({"groups":["support","/team/dba"]})");
  EXPECT_TRUE(g.complete);
  EXPECT_THAT(g.names, ElementsAre("support", "/team/dba"));
  EXPECT_THAT(Read(R"({"groups":"support"})").names, ElementsAre("support"));
  EXPECT_THAT(Read(R"({"realm_access":{"roles":["a"]}})", "realm_access.roles").names,
              ElementsAre("a"));
  EXPECT_THAT(Read(R"({"a.b":["own"],"a":{"b":["path"]}})", "a.b").names, ElementsAre("own"));
  EXPECT_THAT(Read(R"({"https://example.com/groups":["x"]})", "https://example.com/groups").names,
              ElementsAre("x"));
}

TEST(Groups, AnAbsentClaimIsTheCompleteEmptySet) {
  for (auto claims :
       {R"({})", R"({"groups":[]})", R"({"realm_access":{}})", R"({"realm_access":7})"}) {
    auto g = Read(claims, claims[2] == 'g' ? "groups" : "realm_access.roles");
    EXPECT_TRUE(g.complete) << claims;
    EXPECT_THAT(g.names, IsEmpty());
  }
}

TEST(Groups, EntraOverageIsIncomplete) {
  auto moved = Read(
      R"({"_claim_names":{"groups":"src1"},"_claim_sources":{"src1":{"endpoint":"https://graph.windows.net/x"}}})");
  EXPECT_FALSE(moved.complete);
  EXPECT_FALSE(moved.why.empty());
  EXPECT_FALSE(Read(R"({"hasgroups":true})").complete);
  EXPECT_FALSE(Read(R"({"hasgroups":"true"})").complete);
  EXPECT_TRUE(Read(R"({"hasgroups":false,"groups":["a"]})").complete);
  // Even if some groups are there.
  auto partial = Read(R"({"groups":["a"],"_claim_names":{"groups":"src1"}})");
  EXPECT_FALSE(partial.complete);
  EXPECT_THAT(partial.names, ElementsAre("a"));
  // App roles are in the token whatever happens to the groups.
  EXPECT_TRUE(Read(R"({"roles":["r"],"_claim_names":{"groups":"src1"}})", "roles").complete);
  EXPECT_FALSE(Read(R"({"_claim_names":{"realm_access":"s"}})", "realm_access.roles").complete);
  EXPECT_FALSE(Read(R"({"_claim_names":[]})").complete);
}

TEST(Groups, OktaCutsSilentlyAtAHundred) {
  EXPECT_TRUE(Read(List(99)).complete);
  EXPECT_FALSE(Read(List(100)).complete);
  EXPECT_FALSE(Read(List(250)).complete);
  EXPECT_TRUE(Read(List(250), "groups", 0).complete);
}

TEST(Groups, WhatIsNotAListOfNamesIsIncompleteNeverEmpty) {
  for (auto claims : {R"({"groups":null})", R"({"groups":7})", R"({"groups":{"a":true}})",
                      R"({"groups":["a",7]})", R"({"groups":["a",null]})", R"({"groups":[["a"]]})",
                      R"({"groups":[""]})", R"({"groups":""})", R"({"groups":["a\nb"]})"}) {
    EXPECT_FALSE(Read(claims).complete) << claims;
  }
}

}  // namespace
}  // namespace sallyport::identity
