#include <fstream>
#include <sqlite3.h>
#include <thread>

#include "approval/binding.h"
#include "approval/desk_for_test.h"

namespace sallyport::approval {
namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;

class DeskRestartTest : public DeskFixture {};

TEST_F(DeskRestartTest, EveryPointOfALifeSurvives) {
  options_.flows[0].need = 2;
  Restart();
  Filing f = Refund();
  f.requester.groups = {"a", "b"};
  const Request filed = Filed(f);
  Restart();
  auto r = desk_->Find(filed.id);
  ASSERT_TRUE(r);
  EXPECT_EQ(Binding(*r), Binding(filed));
  EXPECT_EQ(DigestOf(*r), filed.digest);
  EXPECT_EQ(r->shown.text.get(), filed.shown.text.get());
  EXPECT_EQ(r->requester.groups, filed.requester.groups);
  EXPECT_EQ(r->entry, filed.entry);
  EXPECT_EQ(Filed(f).id, filed.id);  // the call that is repeated finds it
  ASSERT_TRUE(Vote(filed, Lead("l1"), true, "one"));
  Restart();
  EXPECT_EQ(desk_->Find(filed.id)->votes.size(), 1u);
  EXPECT_EQ(Code(Vote(filed, Lead("l1"))), Errc::approver_ineligible);
  ASSERT_TRUE(Vote(filed, Lead("l2"), true, "two"));
  Restart();
  EXPECT_EQ(desk_->Find(filed.id)->state, State::approved);
  EXPECT_EQ(*Run(desk_->Exact(filed.id)), f.exact);
  ASSERT_TRUE(Run(desk_->Redeem(filed.id, filed.digest, 9)));
  Restart();
  EXPECT_EQ(desk_->Find(filed.id)->state, State::redeemed);
  EXPECT_EQ(Code(Run(desk_->Redeem(filed.id, filed.digest, 9))), Errc::approval_closed);
  EXPECT_NE(Filed(f).id, filed.id);
}

TEST_F(DeskRestartTest, EndsSurvive) {
  const Request denied = Filed(Refund("1")), withdrawn = Filed(Refund("2")),
                expired = Filed(Refund("3"));
  ASSERT_TRUE(Vote(denied, Lead("l1"), false));
  ASSERT_TRUE(desk_->Withdraw(withdrawn.id, Agent(), "no more"));
  Restart();
  EXPECT_EQ(desk_->Find(denied.id)->state, State::denied);
  EXPECT_EQ(desk_->Find(withdrawn.id)->state, State::withdrawn);
  EXPECT_EQ(Filed(Refund("1")).state, State::denied);
  EXPECT_NE(Filed(Refund("2")).id, withdrawn.id);
  Stop();
  clock_.Pass(minutes(16));  // while it was down
  Start();
  EXPECT_EQ(Code(Vote(expired, Lead("l1"))), Errc::approval_expired);
  desk_->Tick();
  EXPECT_EQ(desk_->Find(expired.id)->state, State::expired);
}

TEST_F(DeskRestartTest, AnotherTargetBehindTheConnectionAsksAgain) {
  options_.targets = {{"payments", "one"}};
  Restart();
  const Request r = Filed();
  ASSERT_TRUE(Vote(r, Lead("l1")));
  options_.targets = {{"payments", "two"}};
  Restart();
  EXPECT_EQ(desk_->Find(r.id)->state, State::withdrawn);
  EXPECT_EQ(Code(Run(desk_->Redeem(r.id, r.digest, 1))), Errc::approval_closed);
  EXPECT_NE(Filed().id, r.id);
}

TEST_F(DeskRestartTest, AnotherFlowThanBeforeAsksAgain) {
  const Request r = Filed();
  options_.flows[0].need = 2;
  Restart();
  EXPECT_EQ(desk_->Find(r.id)->state, State::withdrawn);
}

TEST_F(DeskRestartTest, AClockSetBackWhileItWasDownEndsIt) {
  const Request r = Filed();
  Stop();
  clock_.wall -= 3600'000'000'000;
  Start();
  desk_->Tick();
  EXPECT_EQ(desk_->Find(r.id)->state, State::expired);
}

TEST_F(DeskRestartTest, AFullStateRefusesAndLosesNothing) {
  Stop();
  Start({.max_pages = 24});
  std::vector<Request> made;
  Errc refused = Errc::internal;
  for (int i = 0; i < 200 && refused == Errc::internal; ++i) {
    Filing f = Refund(std::to_string(i), Person("u" + std::to_string(i)));
    f.exact += std::string(2000, ' ');
    auto r = Run(desk_->File(f));
    if (r) {
      made.push_back(*r);
    } else {
      refused = r.error().code;
    }
  }
  EXPECT_EQ(refused, Errc::state_unavailable);
  ASSERT_GT(made.size(), 3u);
  EXPECT_EQ(log_.lines().back().event, "approval.withdrawn");  // what was announced is taken back
  EXPECT_EQ(log_.lines().back().reason, Errc::state_unavailable);
  EXPECT_FALSE(writer_->healthy());
  Stop();
  Start();
  EXPECT_EQ(desk_->List({}).size(), made.size());
  ASSERT_TRUE(Vote(made[0], Lead("l1")));
  EXPECT_TRUE(Run(desk_->Redeem(made[0].id, made[0].digest, 1)));
}

TEST_F(DeskRestartTest, ALockedStateRefusesVotesAndUsesUntilItIsFree) {
  Stop();
  Start({.busy = milliseconds(20)});
  const Request r = Filed(), ready = Filed(Refund("2"));
  ASSERT_TRUE(Vote(ready, Lead("l1")));
  sqlite3* other = nullptr;
  ASSERT_EQ(sqlite3_open((dir_ / "state.db").c_str(), &other), SQLITE_OK);
  ASSERT_EQ(sqlite3_exec(other, "BEGIN IMMEDIATE", nullptr, nullptr, nullptr), SQLITE_OK);
  EXPECT_EQ(Code(Vote(r, Lead("l1"))), Errc::state_unavailable);
  EXPECT_EQ(Code(Run(desk_->Redeem(ready.id, ready.digest, 1))), Errc::state_unavailable);
  EXPECT_EQ(Code(Run(desk_->File(Refund("3")))), Errc::state_unavailable);
  EXPECT_EQ(log_.Count("approval.redeemed", false), 1u);  // the log says that it was not used
  EXPECT_EQ(log_.Count("approval.decided", false), 1u);
  EXPECT_EQ(desk_->EndOf("https://idp.example", "agent-1", "revoked"), 2u);  // at once all the same
  EXPECT_EQ(desk_->Find(ready.id)->state, State::withdrawn);
  EXPECT_EQ(Code(Run(desk_->Redeem(ready.id, ready.digest, 1))), Errc::approval_closed);
  sqlite3_close(other);
  for (int i = 0; i < 300 && !writer_->healthy(); ++i)
    std::this_thread::sleep_for(milliseconds(10));
  Restart();
  EXPECT_EQ(desk_->Find(ready.id)->state, State::withdrawn);
  EXPECT_TRUE(Vote(Filed(Refund("4")), Lead("l1")));
}

TEST_F(DeskRestartTest, ADamagedStateRefusesEverything) {
  Stop();
  std::ofstream(dir_ / "state.db") << std::string(8192, 'x');
  std::filesystem::remove(dir_ / "state.db-wal");
  Start();
  EXPECT_EQ(Code(Run(desk_->File(Refund()))), Errc::state_unavailable);
  EXPECT_EQ(Code(Run(desk_->Redeem("a_1", "", 1))), Errc::state_unavailable);
  EXPECT_EQ(Code(Run(desk_->Decide("a_1", {Lead("l1"), true, "", "", ""}))),
            Errc::state_unavailable);
  EXPECT_TRUE(desk_->List({}).empty());
  desk_->Tick();
}

TEST_F(DeskRestartTest, AnotherKeyOpensNothing) {
  const Request r = Filed();
  Stop();
  auto db = state::Database::Open(dir_ / "state.db");
  ASSERT_TRUE(db);
  writer_ = std::make_unique<state::Writer>(std::move(db));
  const std::string other = Base64UrlEncode(std::vector<uint8_t>(32, 8));
  desk_ = std::make_unique<Desk>(*writer_, *state::Sealer::Make(Secret(other)), log_.recorder(),
                                 options_, clock_);
  EXPECT_EQ(Code(Run(desk_->Exact(r.id))), Errc::state_unavailable);
  EXPECT_NE(Filed().id, r.id);  // asked again
}

size_t Resident() {
  std::ifstream statm("/proc/self/statm");
  size_t total = 0, resident = 0;
  statm >> total >> resident;
  return resident * 4096;
}

TEST_F(DeskRestartTest, TenThousandParkedRequestsAreSmall) {
  constexpr int kMany = 10'000, kAtOnce = 100;
  options_.open_per_caller = 100'000, options_.filed_per_hour = 100'000;
  Restart();
  boost::asio::io_context io(1);
  const auto rethrow = [](std::exception_ptr e) {
    if (e) std::rethrow_exception(e);
  };
  std::vector<std::string> ids;
  ids.reserve(kMany);
  const size_t before = Resident();
  for (int wave = 0; wave < kMany; wave += kAtOnce) {
    for (int i = wave; i < wave + kAtOnce; ++i) {
      boost::asio::co_spawn(
          io,
          [&, i]() -> boost::asio::awaitable<void> {
            const auto r = co_await desk_->File(
                Refund(std::to_string(i) + R"(,"note":")" + std::string(900, 'n') + '"'));
            EXPECT_TRUE(r);
            if (r) ids.push_back(r->id);
          },
          rethrow);
    }
    io.restart();
    io.run();
  }
  ASSERT_EQ(ids.size(), size_t{kMany});
  int woken = 0;
  const auto deadline = std::chrono::steady_clock::now() + minutes(10);
  for (const std::string& id : ids) {
    boost::asio::co_spawn(
        io,
        [&, id]() -> boost::asio::awaitable<void> {
          const auto state = co_await desk_->Wait(id, deadline);
          woken += state && *state == State::withdrawn ? 1 : 0;
        },
        rethrow);
  }
  io.restart();
  io.poll();
  const size_t each = (Resident() - before) / kMany;
  RecordProperty("bytes_each", std::to_string(each));
  std::printf("  a parked request with 1 KB of arguments and its waiting coroutine: %zu bytes\n",
              each);
#if !__has_feature(address_sanitizer)  // which pads every allocation and keeps what was freed
  EXPECT_LT(each, 20'000u);
#endif
  EXPECT_EQ(desk_->EndOf("https://idp.example", "agent-1", "end"), size_t{kMany});
  io.run();
  EXPECT_EQ(woken, kMany);
}

}  // namespace
}  // namespace sallyport::approval
