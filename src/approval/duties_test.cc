#include "approval/duties.h"

#include <gtest/gtest.h>

namespace sallyport::approval {
namespace {

op::Principal Who(const std::string& subject, std::vector<std::string> groups = {"leads"}) {
  op::Principal who;
  who.issuer = "https://idp.example";
  who.subject = subject;
  who.name = subject + " Name";
  who.groups = std::move(groups);
  return who;
}

class DutiesTest : public testing::Test {
 protected:
  DutiesTest() {
    request_.requester = Who("asker", {});
    request_.approvers = {"group:leads", "user:boss"};
    request_.created = 100;
  }
  std::string Says(const op::Principal& voter, const Known& known = {}) const {
    const auto objection = MayNotDecide(request_, voter, persons_, known);
    return objection ? std::string(ObjectionName(*objection)) : "may";
  }
  Request request_;
  Persons persons_;
};

TEST_F(DutiesTest, ApproversMay) {
  EXPECT_EQ(Says(Who("l1")), "may");
  EXPECT_EQ(Says(Who("boss", {})), "may");
  EXPECT_EQ(Says(Who("admin", {"admins", "lead", "leads2"})), "not-an-approver");
}

TEST_F(DutiesTest, TheRequesterUnderAnyName) {
  EXPECT_EQ(Says(Who("asker")), "requester");
  op::Principal other = Who("l1");
  other.name = "ASKER  name ";
  EXPECT_EQ(Says(other), "same-person");
  other = Who("asker");  // same subject at another provider is another account, same name
  other.issuer = "https://other.example";
  EXPECT_EQ(Says(other), "same-person");
  other.name = "Somebody Else";
  EXPECT_EQ(Says(other), "may");
  persons_ = Persons({{"p", {"https://idp.example|asker", "https://other.example|asker"}}});
  EXPECT_EQ(Says(other), "same-person");
}

TEST_F(DutiesTest, AnAccountBySamlIsLinkedByItsProvidersName) {
  persons_ = Persons({{"p", {"https://idp.example|asker"}, {"legacy|Asker.Legacy"}}});
  op::Principal other = Who("asker.LEGACY");
  other.issuer = "urn:legacy", other.provider = "legacy", other.name = "Somebody Else";
  EXPECT_EQ(Says(other), "same-person");
  other.provider = "other";
  EXPECT_EQ(Says(other), "may");
  other.provider = "legacy", other.subject = "asker";  // another provider's subject
  EXPECT_EQ(Says(other), "may");
  other.subject = "Asker.Legacy";
  request_.requester = Who("bot");
  request_.requester.agent = "bot", request_.requester.owner = "user:p";
  EXPECT_EQ(Says(other), "agent-owner");
  request_.requester.owner = "user:asker.legacy";
  EXPECT_EQ(Says(other), "agent-owner");
}

TEST_F(DutiesTest, AgentsAndWhoAnswersForThem) {
  op::Principal bot = Who("bot");
  bot.agent = "bot";
  EXPECT_EQ(Says(bot), "not-a-person");
  request_.requester.agent = "refunds";
  request_.requester.owner = "group:platform";
  EXPECT_EQ(Says(Who("l1", {"leads", "platform"})), "agent-owner");
  EXPECT_EQ(Says(Who("l1")), "may");
  request_.requester.owner = "user:l1";
  EXPECT_EQ(Says(Who("l1")), "agent-owner");
  request_.requester.owner = "user:L1 name";
  EXPECT_EQ(Says(Who("l1")), "agent-owner");
  request_.requester.owner = "user:https://idp.example|l1";
  EXPECT_EQ(Says(Who("l1")), "agent-owner");
  EXPECT_EQ(Says(Who("l2")), "may");
  persons_ = Persons({{"jane", {"https://idp.example|l2", "https://other.example|l1"}}});
  request_.requester.owner = "user:l1";
  EXPECT_EQ(Says(Who("l2")), "agent-owner");  // the owner's second account
}

TEST_F(DutiesTest, MembersSinceBeforeTheRequest) {
  EXPECT_EQ(Says(Who("l1"), {.person = 50, .groups = {{"leads", 60}}}), "may");
  EXPECT_EQ(Says(Who("l1"), {.person = 50, .groups = {{"leads", 100}}}), "may");
  EXPECT_EQ(Says(Who("l1"), {.person = 50, .groups = {{"leads", 101}}}), "joined-late");
  EXPECT_EQ(Says(Who("l1"), {.person = 50, .groups = {}}), "joined-late");
  EXPECT_EQ(Says(Who("l1"), {.person = 101, .groups = {{"leads", 101}}}), "may");  // a new person
  EXPECT_EQ(Says(Who("boss", {}), {.person = 50, .groups = {}}), "may");  // named, not by group
}

TEST_F(DutiesTest, OneVotePerPerson) {
  request_.votes.push_back({.voter = Who("l1"), .approve = true});
  EXPECT_EQ(Says(Who("l1")), "voted");
  EXPECT_EQ(Says(Who("l2")), "may");
  persons_ = Persons({{"p", {"https://idp.example|l1", "https://idp.example|l2"}}});
  EXPECT_EQ(Says(Who("l2")), "voted");
}

TEST_F(DutiesTest, ACutListOfGroupsIsNoAnswer) {
  op::Principal cut = Who("l1");
  cut.groups_complete = false;
  EXPECT_EQ(Says(cut), "groups-incomplete");
}

}  // namespace
}  // namespace sallyport::approval
