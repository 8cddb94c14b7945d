#include "approval/desk.h"

#include <fstream>
#include <thread>

#include "approval/binding.h"
#include "approval/desk_for_test.h"

namespace sallyport::approval {
namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;

class DeskTest : public DeskFixture {};

TEST_F(DeskTest, ALifeFromTheRequestToItsUse) {
  const Request r = Filed();
  EXPECT_TRUE(r.id.starts_with("a_"));
  EXPECT_EQ(r.state, State::pending);
  EXPECT_EQ(r.digest, DigestOf(r));
  EXPECT_EQ(r.expires, clock_.wall + 900'000'000'000);
  EXPECT_EQ(desk_->UrlOf(r.id), "https://gate.example/approvals/" + r.id);
  EXPECT_EQ(Code(Run(desk_->Redeem(r.id, r.digest, 5))), Errc::approval_required);
  const auto decided = Vote(r, Lead("l1"), true, "looks right");
  ASSERT_TRUE(decided);
  EXPECT_EQ(decided->state, State::approved);
  ASSERT_EQ(decided->votes.size(), 1u);
  EXPECT_EQ(decided->votes[0].reason, "looks right");
  EXPECT_EQ(Filed().id, r.id);  // the same call finds it
  EXPECT_EQ(Run(desk_->Exact(r.id)).value_or(""), R"({"arguments":{"amount":900}})");
  EXPECT_TRUE(Run(desk_->Redeem(r.id, r.digest, 6)));
  EXPECT_EQ(desk_->Find(r.id)->state, State::redeemed);
  EXPECT_EQ(Code(Run(desk_->Redeem(r.id, r.digest, 6))), Errc::approval_closed);
  EXPECT_EQ(Code(Run(desk_->Exact(r.id))), Errc::approval_closed);  // wiped
  EXPECT_NE(Filed().id, r.id);                                      // single use: asked again
  std::vector<std::string> events;
  for (const auto& line : log_.lines()) events.push_back(line.event);
  EXPECT_EQ(events, (std::vector<std::string>{"approval.requested", "approval.decided",
                                              "approval.redeemed", "approval.requested"}));
  EXPECT_EQ(log_.lines()[1].by, "l1");
  EXPECT_EQ(log_.lines()[1].state, "approved");
}

TEST_F(DeskTest, WaitTellsWhatBecameOfIt) {
  const Request r = Filed();
  const auto soon = std::chrono::steady_clock::now() + milliseconds(30);
  EXPECT_EQ(*Run(desk_->Wait(r.id, soon)), State::pending);
  EXPECT_EQ(Code(Run(desk_->Wait("a_none", soon))), Errc::not_found);
  const auto late = std::chrono::steady_clock::now() + minutes(1);
  std::thread decides([&] {
    std::this_thread::sleep_for(milliseconds(30));
    EXPECT_TRUE(Vote(r, Lead("l1"), false, "no"));
  });
  EXPECT_EQ(*Run(desk_->Wait(r.id, late)), State::denied);
  decides.join();
  EXPECT_EQ(desk_->Refuse(r.id).code, Errc::approval_denied);
  EXPECT_NE(desk_->Refuse(r.id).detail.find("no"), std::string::npos);
  // The denied call is not asked again before its time is over.
  EXPECT_EQ(Filed().state, State::denied);
  clock_.Pass(minutes(16));
  desk_->Tick();
  EXPECT_EQ(Filed().state, State::pending);
}

TEST_F(DeskTest, FiftyRedemptionsAtOnceRunItOnce) {
  const Request r = Filed();
  ASSERT_TRUE(Vote(r, Lead("l1")));
  std::atomic<int> good = 0, closed = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < 50; ++i) {
    threads.emplace_back([&] {
      const auto used = Run(desk_->Redeem(r.id, r.digest, 5));
      if (used) ++good;
      if (!used && used.error().code == Errc::approval_closed) ++closed;
    });
  }
  for (auto& t : threads) t.join();
  EXPECT_EQ(good, 1);
  EXPECT_EQ(closed, 49);
  EXPECT_EQ(log_.Count("approval.redeemed"), 1u);
}

TEST_F(DeskTest, FiftyVotesOfOnePersonCountOnce) {
  options_.flows[0].need = 2;
  Restart();
  const Request r = Filed();
  std::atomic<int> good = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < 50; ++i) threads.emplace_back([&] { good += Vote(r, Lead("l1")) ? 1 : 0; });
  for (auto& t : threads) t.join();
  EXPECT_EQ(good, 1);
  EXPECT_EQ(desk_->Find(r.id)->state, State::pending);
  EXPECT_EQ(log_.Count("approval.decided", false), 49u);
  EXPECT_TRUE(Vote(r, Lead("l2")));
  EXPECT_EQ(desk_->Find(r.id)->state, State::approved);
}

TEST_F(DeskTest, FiftyPeopleAtOnceAgreeOnOneAnswer) {
  const Request r = Filed();
  std::atomic<int> good = 0, closed = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < 50; ++i) {
    threads.emplace_back([&, i] {
      const auto vote = Vote(r, Lead("l" + std::to_string(i)));
      good += vote ? 1 : 0;
      closed += !vote && vote.error().code == Errc::approval_closed ? 1 : 0;
    });
  }
  for (auto& t : threads) t.join();
  EXPECT_EQ(good, 1);
  EXPECT_EQ(closed, 49);
  EXPECT_EQ(desk_->Find(r.id)->votes.size(), 1u);
}

TEST_F(DeskTest, FiftyCallsOfTheSameMakeOneRequest) {
  std::mutex mutex;
  std::set<std::string> ids;
  std::vector<std::thread> threads;
  for (int i = 0; i < 50; ++i) {
    threads.emplace_back([&] {
      const Request r = Filed();
      const std::lock_guard lock(mutex);
      ids.insert(r.id);
    });
  }
  for (auto& t : threads) t.join();
  EXPECT_EQ(ids.size(), 1u);
  EXPECT_EQ(log_.Count("approval.requested"), 1u);
}

TEST_F(DeskTest, AnythingElseIsAnotherRequest) {
  std::set<std::string> ids{Filed().id};
  Filing f = Refund();
  f.policy_version = "fedcba9876543210";
  ids.insert(Filed(f).id);
  f = Refund();
  f.connection = "other";
  ids.insert(Filed(f).id);
  f = Refund();
  f.resource = "refund_all";
  ids.insert(Filed(f).id);
  f = Refund();
  f.verb = op::Verb::prompt_get;
  ids.insert(Filed(f).id);
  f = Refund();
  f.requester.agent = "other";
  ids.insert(Filed(f).id);
  ids.insert(Filed(Refund("900", Person("u1"))).id);
  ids.insert(Filed(Refund("901")).id);
  ids.insert(Filed(Refund("900.0")).id);
  EXPECT_EQ(ids.size(), 9u);
}

TEST_F(DeskTest, ExpiryIsFinalHoweverTheClockIsSet) {
  const Request r = Filed();
  clock_.Pass(minutes(14));
  clock_.wall -= 3600'000'000'000;  // set back an hour: no more time
  EXPECT_EQ(Code(Run(desk_->Redeem(r.id, r.digest, 5))), Errc::approval_required);
  clock_.Pass(minutes(2));
  EXPECT_EQ(Code(Vote(r, Lead("l1"))), Errc::approval_expired);
  EXPECT_EQ(log_.lines().back().reason, Errc::approval_expired);
  EXPECT_EQ(Code(Run(desk_->Redeem(r.id, r.digest, 5))), Errc::approval_expired);
  desk_->Tick();
  EXPECT_EQ(desk_->Find(r.id)->state, State::expired);
  EXPECT_EQ(log_.Count("approval.expired"), 1u);
  clock_.wall -= 3600'000'000'000;
  EXPECT_EQ(Code(Vote(r, Lead("l1"))), Errc::approval_expired);
  EXPECT_EQ(Code(Run(desk_->Redeem(r.id, r.digest, 5))), Errc::approval_expired);
}

TEST_F(DeskTest, AnApprovalThatIsNotUsedExpires) {
  const Request r = Filed();
  ASSERT_TRUE(Vote(r, Lead("l1")));
  clock_.wall += 901'000'000'000;  // set forward: ends early, never late
  EXPECT_EQ(Code(Run(desk_->Redeem(r.id, r.digest, 5))), Errc::approval_expired);
  const Request again = Filed();  // no Tick in between
  EXPECT_NE(again.id, r.id);
  EXPECT_EQ(again.state, State::pending);
  EXPECT_EQ(desk_->Find(r.id)->state, State::expired);
}

TEST_F(DeskTest, TwiceAndAfterTheEnd) {
  const Request r = Filed();
  ASSERT_TRUE(Vote(r, Lead("l1")));
  EXPECT_EQ(Code(Vote(r, Lead("l1"))), Errc::approval_closed);
  EXPECT_EQ(Code(Vote(r, Lead("l2"))), Errc::approval_closed);
  ASSERT_TRUE(Vote(r, Lead("l2"), false, "stop"));  // before it is used somebody may still stop it
  EXPECT_EQ(Code(Run(desk_->Redeem(r.id, r.digest, 5))), Errc::approval_denied);
  EXPECT_EQ(Code(Vote(r, Lead("l3"))), Errc::approval_closed);
  EXPECT_EQ(Code(Run(desk_->Decide("a_none", {Lead("l1"), true, "", "", ""}))), Errc::not_found);
}

TEST_F(DeskTest, ADecisionIsAboutWhatWasShown) {
  const Request r = Filed();
  const Request other = Filed(Refund("9000"));
  EXPECT_EQ(Code(Run(desk_->Decide(r.id, {Lead("l1"), true, "", other.digest, ""}))),
            Errc::approval_mismatch);
  EXPECT_EQ(Code(Run(desk_->Decide(r.id, {Lead("l1"), true, "", "", ""}))),
            Errc::approval_mismatch);
  ASSERT_TRUE(Vote(r, Lead("l1")));
  EXPECT_EQ(Code(Run(desk_->Redeem(r.id, other.digest, 5))), Errc::approval_mismatch);
  EXPECT_EQ(Code(Run(desk_->Redeem(other.id, r.digest, 5))), Errc::approval_required);
  EXPECT_EQ(log_.Count("approval.decided", false), 2u);
}

TEST_F(DeskTest, SelfApprovalInEveryForm) {
  options_.persons = Persons({{"jane", {"https://idp.example|u1", "https://other.example|jd"}}});
  Restart();
  const auto refused = [&](const Request& r, op::Principal voter) -> std::string {
    const auto vote = Vote(r, voter);
    if (vote) return "";
    EXPECT_EQ(vote.error().code, Errc::approver_ineligible);
    return vote.error().detail.substr(0, vote.error().detail.find(':'));
  };
  const Request mine = Filed(Refund("1", Person("u1", {"leads", "admins"})));
  EXPECT_EQ(refused(mine, Person("u1", {"leads", "admins"})), "requester");
  op::Principal second = Lead("jd");
  second.issuer = "https://other.example";
  EXPECT_EQ(refused(mine, second), "same-person");  // linked
  second = Lead("unlinked");
  second.name = " U1@Example ";
  EXPECT_EQ(refused(mine, second), "same-person");  // by name
  EXPECT_EQ(refused(mine, Person("a1", {"admins"})), "not-an-approver");
  op::Principal cut = Lead("l9");
  cut.groups_complete = false;
  EXPECT_EQ(refused(mine, cut), "groups-incomplete");

  const Request agents = Filed(Refund("2"));
  op::Principal agent = Agent();
  agent.groups = {"leads"};
  EXPECT_EQ(refused(agents, agent), "not-a-person");
  op::Principal other_agent = Lead("agent-2");
  other_agent.agent = "other";
  EXPECT_EQ(refused(agents, other_agent), "not-a-person");
  EXPECT_EQ(refused(agents, Person("p1", {"leads", "platform"})), "agent-owner");
  op::Principal behind = Agent();  // the agent acts with this person's account
  behind.agent = "", behind.owner = "", behind.groups = {"leads"};
  EXPECT_EQ(refused(agents, behind), "requester");
  EXPECT_EQ(refused(agents, Lead("l1")), "");
  EXPECT_GE(log_.Count("approval.decided", false), 9u);
}

TEST_F(DeskTest, WhoJoinsAfterTheRequestDoesNotDecide) {
  desk_->Saw(Person("late"));
  desk_->Saw(Lead("left"));
  desk_->Saw(Lead("early"));
  clock_.Pass(minutes(1));
  desk_->Saw(Person("left"));  // left the group …
  const Request r = Filed();
  clock_.Pass(minutes(1));
  EXPECT_NE(Vote(r, Lead("late")).error().detail.find("joined-late"), std::string::npos);
  EXPECT_NE(Vote(r, Lead("left")).error().detail.find("joined-late"), std::string::npos);  // … back
  Restart();
  EXPECT_NE(Vote(r, Lead("late")).error().detail.find("joined-late"), std::string::npos);
  EXPECT_TRUE(Vote(r, Lead("early")));
  clock_.Pass(minutes(1));
  EXPECT_TRUE(Vote(Filed(Refund("3")), Lead("late")));  // a member before this one
  EXPECT_TRUE(Vote(Filed(Refund("4")), Lead("never-seen")));
}

TEST_F(DeskTest, AReasonWhereOneIsRequiredAndMasked) {
  options_.flows[0].reason_required = true;
  Restart();
  const Request r = Filed();
  EXPECT_EQ(Code(Vote(r, Lead("l1"), true, " \n")), Errc::request_malformed);
  EXPECT_EQ(Code(Vote(r, Lead("l1"), true, std::string(5000, 'x'))), Errc::request_too_large);
  const auto vote = Vote(r, Lead("l1"), true, "card 4111111111111111 is the customer's");
  ASSERT_TRUE(vote);
  EXPECT_EQ(vote->votes[0].reason.find("4111111111111111"), std::string::npos);
  EXPECT_EQ(log_.lines().back().text.find("4111111111111111"), std::string::npos);
}

TEST_F(DeskTest, NothingUnmaskedIsOnDisk) {
  Filing f = Refund();
  f.exact = R"({"arguments":{"card":"4111111111111111"}})";
  f.shown = options_.mask(R"({"card":"4111111111111111"})", true);
  const Request r = Filed(f);
  EXPECT_EQ(r.shown.text.get().find("4111111111111111"), std::string::npos);
  EXPECT_EQ(Binding(r).find("4111"), std::string::npos);
  EXPECT_EQ(*Run(desk_->Exact(r.id)), f.exact);
  Stop();
  for (const auto& entry : std::filesystem::directory_iterator(dir_)) {
    std::ifstream file(entry.path(), std::ios::binary);
    const std::string bytes((std::istreambuf_iterator<char>(file)), {});
    EXPECT_EQ(bytes.find("4111111111111111"), std::string::npos) << entry.path();
  }
  Start();
}

TEST_F(DeskTest, AFloodIsLimitedPerCaller) {
  options_.open_per_caller = 3, options_.filed_per_hour = 5;
  Restart();
  std::vector<Request> made;
  for (int i = 0; i < 3; ++i) made.push_back(Filed(Refund(std::to_string(i))));
  EXPECT_EQ(Code(Run(desk_->File(Refund("3")))), Errc::limit_exceeded);
  EXPECT_EQ(Filed(Refund("1")).id, made[1].id);  // the same again is no new one
  Filed(Refund("3", Person("u2")));              // others go on
  ASSERT_TRUE(desk_->Withdraw(made[0].id, Agent(), "changed my mind"));
  Filed(Refund("4"));
  ASSERT_TRUE(desk_->Withdraw(made[1].id, Agent(), ""));
  Filed(Refund("5"));
  ASSERT_TRUE(desk_->Withdraw(made[2].id, Agent(), ""));
  EXPECT_EQ(Code(Run(desk_->File(Refund("6")))), Errc::limit_exceeded);  // of the hour
  clock_.Pass(minutes(61));
  desk_->Tick();
  EXPECT_TRUE(Run(desk_->File(Refund("6"))));
}

TEST_F(DeskTest, ABurstCannotSlipPastTheLimit) {
  options_.open_per_caller = 10;
  Restart();
  std::atomic<int> good = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < 50; ++i)
    threads.emplace_back([&, i] { good += Run(desk_->File(Refund(std::to_string(i)))) ? 1 : 0; });
  for (auto& t : threads) t.join();
  EXPECT_EQ(good, 10);
}

TEST_F(DeskTest, EndsByCallerByRulesAndByFlow) {
  const Request mine = Filed(Refund("1", Person("u1")));
  const Request approved = Filed(Refund("2", Person("u1")));
  ASSERT_TRUE(Vote(approved, Lead("l1")));
  const Request other = Filed(Refund("3", Person("u2")));
  EXPECT_EQ(Code(desk_->Withdraw(mine.id, Person("u2"), "")), Errc::approver_ineligible);
  EXPECT_EQ(desk_->EndOf("https://idp.example", "u1", "access revoked"), 2u);
  EXPECT_EQ(desk_->Find(mine.id)->state, State::withdrawn);
  EXPECT_EQ(Code(Run(desk_->Redeem(approved.id, approved.digest, 1))), Errc::approval_closed);
  EXPECT_EQ(Code(Vote(mine, Lead("l1"))), Errc::approval_closed);
  EXPECT_EQ(desk_->EndOthers("0123456789abcdef"), 0u);
  EXPECT_EQ(desk_->EndOthers("another"), 1u);
  EXPECT_EQ(desk_->Find(other.id)->end_reason, "the rules have changed");
  const Request again = Filed(Refund("3", Person("u2")));
  desk_->Configure({{.name = "leads", .approvers = {"group:leads", "group:more"}}}, {}, 20, 300);
  EXPECT_EQ(desk_->Find(again.id)->state, State::withdrawn);
  EXPECT_EQ(log_.Count("approval.withdrawn"), 4u);
  EXPECT_EQ(Code(Run(desk_->File([&] {
              Filing f = Refund();
              f.flow = "none";
              return f;
            }()))),
            Errc::config_invalid);
}

TEST_F(DeskTest, WhatIsEndedWhileItIsFiledOrDecidedIsEnded) {
  const auto revoke = [this] {
    EXPECT_EQ(desk_->EndOf("https://idp.example", "agent-1", "access revoked"), 1u);
  };
  log_.meanwhile = revoke;
  const Request r = Filed();
  EXPECT_EQ(desk_->Find(r.id)->state, State::withdrawn);
  EXPECT_EQ(desk_->Find(r.id)->end_reason, "access revoked");
  const Request second = Filed();
  EXPECT_NE(second.id, r.id);
  log_.meanwhile = revoke;
  EXPECT_TRUE(Vote(second, Lead("l1")));
  EXPECT_EQ(desk_->Find(second.id)->state, State::withdrawn);
  EXPECT_EQ(Code(Run(desk_->Redeem(second.id, second.digest, 1))), Errc::approval_closed);
  const Request third = Filed();
  ASSERT_TRUE(Vote(third, Lead("l1")));
  log_.meanwhile = [this, third] {  // used by another call while this one uses it
    EXPECT_EQ(Code(Run(desk_->Redeem(third.id, third.digest, 1))), Errc::approval_closed);
  };
  EXPECT_TRUE(Run(desk_->Redeem(third.id, third.digest, 1)));
  log_.meanwhile = [this, revoke] {
    revoke();
    log_.broken = true;  // and then it cannot even be filed
  };
  EXPECT_EQ(Code(Run(desk_->File(Refund()))), Errc::ledger_unavailable);
  log_.broken = false;
  EXPECT_EQ(desk_->counts().pending, 0u);
  EXPECT_EQ(Filed().state, State::pending);
}

TEST_F(DeskTest, WithoutTheLogNothingHappens) {
  const Request r = Filed();
  log_.broken = true;
  EXPECT_EQ(Code(Run(desk_->File(Refund("2")))), Errc::ledger_unavailable);
  EXPECT_EQ(Code(Vote(r, Lead("l1"))), Errc::ledger_unavailable);
  EXPECT_EQ(desk_->Find(r.id)->state, State::pending);
  log_.broken = false;
  ASSERT_TRUE(Vote(r, Lead("l1")));
  log_.broken = true;
  EXPECT_EQ(Code(Run(desk_->Redeem(r.id, r.digest, 1))), Errc::ledger_unavailable);
  log_.broken = false;
  EXPECT_TRUE(Run(desk_->Redeem(r.id, r.digest, 1)));
  EXPECT_TRUE(Run(desk_->File(Refund("2"))));
}

TEST_F(DeskTest, ListsTheNewestFirst) {
  std::vector<std::string> ids;
  for (int i = 0; i < 5; ++i) {
    ids.insert(ids.begin(),
               Filed(Refund(std::to_string(i), Person("u" + std::to_string(i % 2)))).id);
    clock_.Pass(milliseconds(1));
  }
  std::vector<std::string> listed;
  for (const Request& r : desk_->List({.limit = 3})) listed.push_back(r.id);
  EXPECT_EQ(listed, std::vector<std::string>(ids.begin(), ids.begin() + 3));
  const op::Principal u1 = Person("u1");
  EXPECT_EQ(desk_->List({.requester = &u1}).size(), 2u);
  ASSERT_TRUE(Vote(*desk_->Find(ids[0]), Lead("l1")));
  EXPECT_EQ(desk_->List({.state = State::approved}).size(), 1u);
  EXPECT_EQ(desk_->counts().pending, 4u);
}

TEST_F(DeskTest, ViewsAreRecordedOncePerPerson) {
  const Request r = Filed();
  EXPECT_TRUE(Run(desk_->Viewed(r.id, Lead("l1"))));
  EXPECT_TRUE(Run(desk_->Viewed(r.id, Lead("l1"))));
  EXPECT_TRUE(Run(desk_->Viewed(r.id, Lead("l2"))));
  EXPECT_EQ(log_.Count("approval.viewed"), 2u);
  EXPECT_TRUE(desk_->Notified(r.id, "webhook leads", false));
  EXPECT_EQ(log_.Count("approval.notified", false), 1u);
}

TEST_F(DeskTest, ListenersHearOfEachChange) {
  std::vector<State> heard;
  desk_->OnChange([&](const Request& r) { heard.push_back(r.state); });
  const Request r = Filed();
  ASSERT_TRUE(Vote(r, Lead("l1")));
  ASSERT_TRUE(Run(desk_->Redeem(r.id, r.digest, 1)));
  EXPECT_EQ(heard, (std::vector<State>{State::pending, State::approved, State::redeemed}));
}

}  // namespace
}  // namespace sallyport::approval
