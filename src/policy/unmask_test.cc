#include "policy/unmask.h"

#include <gtest/gtest.h>

namespace sallyport::policy {
namespace {

op::UnmaskAsk Ask(std::vector<std::string> detectors) { return {std::move(detectors), {}}; }

TEST(Unmask, TheFirstGrantThatNamesTheCallerAndCoversAll) {
  const std::vector<UnmaskGrant> grants = {
      {.who = {"group:fraud"}, .detectors = {"pan"}, .approval = "one", .max_values = 2},
      {.who = {"group:fraud"}, .detectors = {"iban", "pan"}, .approval = "two"},
      {.who = {"user:i|s", "agent:bot"}, .detectors = {"pan"}, .approval = "three"}};
  op::Principal who;
  who.issuer = "i", who.subject = "s2", who.name = "ana";
  EXPECT_EQ(FindUnmaskGrant(grants, who, Ask({"pan"})), nullptr);
  who.groups = {"fraudulent"};
  EXPECT_EQ(FindUnmaskGrant(grants, who, Ask({"pan"})), nullptr);
  who.groups = {"x", "fraud"};
  EXPECT_EQ(FindUnmaskGrant(grants, who, Ask({"pan"}))->approval, "one");
  EXPECT_EQ(FindUnmaskGrant(grants, who, Ask({"iban", "pan"}))->approval, "two");
  EXPECT_EQ(FindUnmaskGrant(grants, who, Ask({"pan", "sad"})), nullptr);
  EXPECT_EQ(FindUnmaskGrant(grants, who, Ask({})), nullptr);
  who.groups.clear(), who.subject = "s";
  EXPECT_EQ(FindUnmaskGrant(grants, who, Ask({"pan"}))->approval, "three");
  who.subject = "s2", who.agent = "bot";
  EXPECT_EQ(FindUnmaskGrant(grants, who, Ask({"pan"}))->approval, "three");
  EXPECT_EQ(FindUnmaskGrant({}, who, Ask({"pan"})), nullptr);
}

TEST(Unmask, SomebodyIsNamed) {
  op::Principal who;
  who.subject = "s";
  EXPECT_EQ(UnmaskPerson(who), "s");
  who.name = "ana";
  EXPECT_EQ(UnmaskPerson(who), "ana");
  who.agent = "bot", who.owner = "group:payments";
  EXPECT_EQ(UnmaskPerson(who), "");
  who.owner = "user:bob";
  EXPECT_EQ(UnmaskPerson(who), "bob");
}

}  // namespace
}  // namespace sallyport::policy
