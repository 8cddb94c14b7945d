#include "access/sessions.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <gtest/gtest.h>
#include <set>
#include <thread>

#include "access/store_memory.h"
#include "access/token.h"

namespace sallyport::access {
namespace {

using std::chrono::minutes;
using std::chrono::nanoseconds;
using std::chrono::seconds;

/// Both clocks, moved together or apart.
class TestClock final : public Clock {
 public:
  Nanos WallNow() const override { return wall_; }
  std::chrono::steady_clock::time_point SteadyNow() const override {
    return std::chrono::steady_clock::time_point(nanoseconds(steady_.load()));
  }
  void Advance(nanoseconds by) { wall_ += by.count(), steady_ += by.count(); }
  void StepWall(nanoseconds by) { wall_ += by.count(); }
  void Reboot() { steady_ = 1'000'000'000; }

 private:
  std::atomic<Nanos> wall_{Nanos(1'800'000'000) * 1'000'000'000};
  std::atomic<Nanos> steady_{Nanos(5'000) * 1'000'000'000};
};

template <class T>
Result<T> Await(Task<T> task) {
  boost::asio::io_context io(1);
  std::optional<Result<T>> result;
  boost::asio::co_spawn(io, std::move(task), [&](std::exception_ptr e, Result<T> r) {
    if (e) std::rethrow_exception(e);
    result = std::move(r);
  });
  io.run();
  return std::move(*result);
}

op::Principal Ana() {
  op::Principal who;
  who.issuer = "https://idp.example";
  who.subject = "user-ana";
  who.name = "ana@example.com";
  who.groups = {"analysts", "staff"};
  who.provider = "corp";
  who.client_id = "sallyport";
  who.token_class = "access";
  return who;
}

class SessionsTest : public testing::Test {
 protected:
  void SetUp() override { Start(); }
  void Start() {
    sessions_ = Sessions::Make({.per_person = 3, .unlock_url = "https://gate/unlock?session="},
                               store_, clock_);
    sessions_->OnEnd([this](const Ended& e) { ended_.push_back(e); });
    sessions_->OnLock(
        [this](const Live& live, bool locked) { locks_.emplace_back(live.id, locked); });
  }
  void Restart() {
    sessions_.reset();
    clock_.Reboot();
    Start();
  }
  Opened Open(op::Principal who = Ana(), std::string kind = "cli") {
    auto opened = Await(sessions_->Open(
        {.who = std::move(who), .kind = std::move(kind), .authenticated_at = clock_.WallNow()}));
    EXPECT_TRUE(opened) << opened.error().detail;
    return opened ? *opened : Opened{};
  }
  Errc CodeOf(const std::string& token) {
    const auto live = sessions_->Check(token);
    return live ? Errc::internal : live.error().code;  // internal: it is good
  }
  bool Good(const std::string& token) { return sessions_->Check(token).has_value(); }

  TestClock clock_;
  std::shared_ptr<MemoryStore> store_ = std::make_shared<MemoryStore>();
  std::vector<Ended> ended_;
  std::vector<std::pair<std::string, bool>> locks_;
  std::unique_ptr<Sessions> sessions_;
};

TEST(Token, FormAndChecksum) {
  std::set<std::string> seen;
  for (int i = 0; i < 100; ++i) {
    const std::string token = NewToken();
    EXPECT_EQ(token.size(), kTokenSize);
    EXPECT_TRUE(WellFormed(token)) << token;
    EXPECT_TRUE(seen.insert(token).second);
    std::string other = token;
    other[20] = other[20] == 'A' ? 'B' : 'A';
    EXPECT_FALSE(WellFormed(other));
  }
  EXPECT_FALSE(WellFormed("sps_"));
  EXPECT_FALSE(WellFormed(""));
}

TEST_F(SessionsTest, ATokenMayBeRenewedAsLongAsItsSessionLasts) {
  const auto first = Await(sessions_->Open({.who = Ana(),
                                            .kind = "mcp",
                                            .authenticated_at = clock_.WallNow(),
                                            .resource = "https://gate/mcp/a",
                                            .token_lasts = std::chrono::minutes(5)}));
  ASSERT_TRUE(first);
  EXPECT_EQ((*sessions_->Check(first->token))->resource, "https://gate/mcp/a");
  clock_.Advance(std::chrono::minutes(4));
  const auto second = Await(sessions_->Renew(first->id, std::chrono::minutes(5), true));
  ASSERT_TRUE(second);
  EXPECT_EQ(second->id, first->id);
  EXPECT_TRUE(Good(first->token) && Good(second->token));
  clock_.Advance(std::chrono::minutes(1));
  EXPECT_EQ(CodeOf(first->token), Errc::token_expired);
  EXPECT_TRUE(Good(second->token));
  const auto third = Await(sessions_->Renew(first->id, std::chrono::minutes(5), false));
  ASSERT_TRUE(third);
  EXPECT_EQ(CodeOf(second->token), Errc::session_unknown) << "nobody has got it";
  EXPECT_EQ(CodeOf(first->token), Errc::session_unknown);
  Restart();
  EXPECT_EQ((*sessions_->Check(third->token))->resource, "https://gate/mcp/a");
  // Renewing is no work, and does not unlock.
  clock_.Advance(std::chrono::minutes(10));
  sessions_->Tick();
  const auto fourth = Await(sessions_->Renew(first->id, std::chrono::minutes(5), true));
  ASSERT_TRUE(fourth);
  EXPECT_EQ(CodeOf(fourth->token), Errc::session_locked);
  ASSERT_TRUE(Await(sessions_->Revoke({.session = first->id}, "ana", "left")));
  EXPECT_EQ(CodeOf(fourth->token), Errc::session_ended);
  EXPECT_FALSE(Await(sessions_->Renew(first->id, std::chrono::minutes(5), true)));
}

TEST_F(SessionsTest, ATokenIsItsSession) {
  const Opened opened = Open();
  const auto live = sessions_->Check(opened.token);
  ASSERT_TRUE(live);
  EXPECT_EQ((*live)->who.subject, "user-ana");
  EXPECT_EQ((*live)->who.session, opened.id);
  EXPECT_EQ((*live)->who.token_class, "session");
  EXPECT_EQ(opened.expires_at, clock_.WallNow() + nanoseconds(std::chrono::hours(4)).count());
  EXPECT_EQ(CodeOf(NewToken()), Errc::session_unknown);
  EXPECT_EQ(CodeOf("sps_x"), Errc::session_unknown);
}

TEST_F(SessionsTest, KeepalivesLockAndTheSameTokenWorksAfterUnlocking) {
  const Opened opened = Open();
  for (int i = 0; i < 14 * 6; ++i) {  // looked at every ten seconds: no work
    clock_.Advance(seconds(10));
    EXPECT_TRUE(Good(opened.token)) << i;
    sessions_->Tick();
  }
  EXPECT_TRUE(locks_.empty());
  clock_.Advance(seconds(61));
  EXPECT_EQ(CodeOf(opened.token), Errc::session_locked);
  sessions_->Tick();
  ASSERT_EQ(locks_.size(), 1u);
  EXPECT_EQ(locks_[0], std::pair(opened.id, true));
  EXPECT_NE(sessions_->Check(opened.token)
                .error()
                .detail.find("https://gate/unlock?session=" + opened.id),
            std::string::npos);

  op::Principal other = Ana();
  other.subject = "user-eve";
  EXPECT_EQ(Await(sessions_->Unlock(opened.id, other, clock_.WallNow())).error().code,
            Errc::session_foreign);
  EXPECT_EQ(CodeOf(opened.token), Errc::session_locked);
  op::Principal fresh = Ana();
  fresh.groups = {"analysts", "staff", "leads"};
  ASSERT_TRUE(Await(sessions_->Unlock(opened.id, fresh, clock_.WallNow())));
  const auto live = sessions_->Check(opened.token);
  ASSERT_TRUE(live);
  EXPECT_EQ((*live)->who.groups.size(), 3u);
  ASSERT_EQ(locks_.size(), 2u);
  EXPECT_EQ(locks_[1], std::pair(opened.id, false));
}

TEST_F(SessionsTest, ARunningQueryIsWorkAndItsEndBeginsTheIdleTime) {
  const Opened opened = Open();
  {
    auto live = sessions_->Check(opened.token);
    auto work = Work::Begin(*live);
    ASSERT_TRUE(work);
    for (int i = 0; i < 60; ++i) {
      clock_.Advance(minutes(1));
      sessions_->Tick();
      EXPECT_TRUE(Good(opened.token));
    }
    auto second = Work::Begin(*live);
    EXPECT_TRUE(second);
  }
  clock_.Advance(minutes(14));
  EXPECT_TRUE(Good(opened.token));
  clock_.Advance(minutes(1));
  EXPECT_EQ(CodeOf(opened.token), Errc::session_locked);
}

TEST_F(SessionsTest, WorkOfALockedSessionDoesNotBegin) {
  const Opened opened = Open();
  const auto live = *sessions_->Check(opened.token);
  clock_.Advance(minutes(15));
  auto work = Work::Begin(live);  // before anybody has looked
  ASSERT_FALSE(work);
  EXPECT_EQ(work.error().code, Errc::session_locked);
  clock_.Advance(std::chrono::hours(4));
  EXPECT_EQ(Work::Begin(live).error().code, Errc::session_ended);
}

TEST_F(SessionsTest, ItEndsAtItsEndWhateverItDoes) {
  const Opened opened = Open();
  auto work = Work::Begin(*sessions_->Check(opened.token));
  clock_.Advance(std::chrono::hours(4));
  EXPECT_EQ(CodeOf(opened.token), Errc::session_ended);
  sessions_->Tick();
  ASSERT_EQ(ended_.size(), 1u);
  EXPECT_EQ(ended_[0].whom.session, opened.id);
  EXPECT_EQ(ended_[0].by, "expiry");
  sessions_->Tick();
  EXPECT_EQ(ended_.size(), 1u);
  EXPECT_EQ(Await(sessions_->Unlock(opened.id, Ana(), clock_.WallNow())).error().code,
            Errc::session_ended);
}

TEST_F(SessionsTest, ClockStepsNeverGiveTime) {
  const Opened opened = Open();
  clock_.StepWall(-std::chrono::hours(10));
  clock_.Advance(minutes(14));
  EXPECT_TRUE(Good(opened.token));
  clock_.Advance(minutes(1));
  EXPECT_EQ(CodeOf(opened.token), Errc::session_locked);
  clock_.Advance(minutes(225));
  EXPECT_EQ(CodeOf(opened.token), Errc::session_ended);  // four hours, although the wall says less

  const Opened second = Open();
  clock_.StepWall(minutes(20));  // a machine that slept: nobody can tell, so it locks
  EXPECT_EQ(CodeOf(second.token), Errc::session_locked);
  const Opened third = Open();
  clock_.StepWall(std::chrono::hours(5));
  EXPECT_EQ(CodeOf(third.token), Errc::session_ended);
}

TEST_F(SessionsTest, ARestartKeepsAll) {
  const Opened active = Open(), locked = Open();
  const Opened ended = Open();
  ASSERT_TRUE(Await(sessions_->Revoke({.session = ended.id}, "ana", "done")));
  clock_.Advance(minutes(10));
  {
    auto work = Work::Begin(*sessions_->Check(active.token));
  }
  clock_.Advance(minutes(6));
  sessions_->Tick();
  Restart();
  EXPECT_TRUE(Good(active.token));
  EXPECT_EQ(CodeOf(locked.token), Errc::session_locked);
  EXPECT_EQ(CodeOf(ended.token), Errc::session_ended);
  EXPECT_EQ((*sessions_->Check(active.token))->who.name, "ana@example.com");
  clock_.Advance(minutes(9));  // its idle time went on while nobody ran
  EXPECT_EQ(CodeOf(active.token), Errc::session_locked);
  ASSERT_TRUE(Await(sessions_->Unlock(active.id, Ana(), clock_.WallNow())));
  Restart();
  EXPECT_TRUE(Good(active.token));
  clock_.Advance(std::chrono::hours(4));
  Restart();
  EXPECT_EQ(CodeOf(active.token), Errc::session_ended);
}

TEST_F(SessionsTest, AClockPutBackAcrossARestartLocks) {
  const Opened opened = Open();
  clock_.StepWall(-minutes(30));
  Restart();
  EXPECT_EQ(CodeOf(opened.token), Errc::session_locked);
}

TEST_F(SessionsTest, RevokingASessionEndsItAlone) {
  const Opened one = Open(), two = Open();
  EXPECT_EQ(*Await(sessions_->Revoke({.session = one.id}, "ana", "lost laptop")), 1u);
  EXPECT_EQ(CodeOf(one.token), Errc::session_ended);
  EXPECT_TRUE(Good(two.token));
  ASSERT_EQ(ended_.size(), 1u);
  EXPECT_EQ(ended_[0].why, "lost laptop");
  EXPECT_EQ(ended_[0].session->id, one.id);
  EXPECT_FALSE(Await(sessions_->Revoke({.session = one.id}, "ana", "again")));
  EXPECT_FALSE(Await(sessions_->Unlock(one.id, Ana(), clock_.WallNow())));
  EXPECT_FALSE(sessions_->Revoked(Ana(), clock_.WallNow()));
  sessions_->Tick();
  EXPECT_EQ(ended_.size(), 1u);
}

TEST_F(SessionsTest, RevokingAPersonEndsEveryCredentialIssuedBefore) {
  const Opened one = Open(), two = Open();
  op::Principal eve = Ana();
  eve.subject = "user-eve";
  const Opened other = Open(eve);
  const Nanos before = clock_.WallNow();
  const auto n = Await(
      sessions_->Revoke({.issuer = "https://idp.example", .subject = "user-ana"}, "adam", "left"));
  EXPECT_EQ(*n, 2u);
  EXPECT_EQ(CodeOf(one.token), Errc::session_ended);
  EXPECT_EQ(CodeOf(two.token), Errc::session_ended);
  EXPECT_TRUE(Good(other.token));
  EXPECT_TRUE(sessions_->Revoked(Ana(), before));
  EXPECT_FALSE(sessions_->Revoked(eve, before));
  // One that does not say when it was issued is older than any revocation; none does not end it.
  EXPECT_TRUE(sessions_->Revoked(Ana(), -int64_t{60} * 1'000'000'000));
  EXPECT_FALSE(sessions_->Revoked(eve, -int64_t{60} * 1'000'000'000));
  // A login that was made before does not open a session any more; one made later does.
  const auto late =
      Await(sessions_->Open({.who = Ana(), .kind = "cli", .authenticated_at = before}));
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().code, Errc::session_ended);
  clock_.Advance(seconds(1));
  EXPECT_FALSE(sessions_->Revoked(Ana(), clock_.WallNow()));
  EXPECT_TRUE(Good(Open().token));
  Restart();
  EXPECT_TRUE(sessions_->Revoked(Ana(), before));
  clock_.Advance(std::chrono::hours(27));
  sessions_->Tick();
  EXPECT_FALSE(sessions_->Revoked(Ana(), before));  // no token lives that long
}

TEST_F(SessionsTest, RevokingASessionOfTheProvider) {
  op::Principal with = Ana();
  with.sid = "sid-1";
  const Opened one = Open(with), two = Open();
  EXPECT_EQ(*Await(sessions_->Revoke({.issuer = "https://idp.example", .sid = "sid-1"}, "idp", "")),
            1u);
  EXPECT_EQ(CodeOf(one.token), Errc::session_ended);
  EXPECT_TRUE(Good(two.token));
  EXPECT_TRUE(sessions_->Revoked(with, clock_.WallNow()));
  EXPECT_FALSE(sessions_->Revoked(Ana(), clock_.WallNow()));
  // With the person named too, what says nothing of its session ends as well.
  op::Principal elsewhere = Ana();
  elsewhere.sid = "sid-2";
  const Opened third = Open(elsewhere);
  EXPECT_EQ(
      *Await(sessions_->Revoke(
          {.issuer = "https://idp.example", .subject = "user-ana", .sid = "sid-1"}, "idp", "")),
      1u);
  EXPECT_EQ(CodeOf(two.token), Errc::session_ended);
  EXPECT_TRUE(Good(third.token));
  EXPECT_TRUE(sessions_->Revoked(Ana(), clock_.WallNow()));
  EXPECT_FALSE(sessions_->Revoked(elsewhere, clock_.WallNow()));
}

TEST_F(SessionsTest, AStateThatCannotBeWrittenOpensNothingButRevokes) {
  const Opened opened = Open();
  store_->broken = true;
  const auto more = Await(sessions_->Open({.who = Ana(), .kind = "cli", .authenticated_at = 1}));
  ASSERT_FALSE(more);
  EXPECT_EQ(more.error().code, Errc::state_unavailable);
  const auto revoked = Await(sessions_->Revoke({.session = opened.id}, "adam", "left"));
  ASSERT_FALSE(revoked);
  EXPECT_EQ(revoked.error().code, Errc::state_unavailable);
  EXPECT_EQ(CodeOf(opened.token), Errc::session_ended);
}

TEST_F(SessionsTest, LimitsPerPerson) {
  Open(), Open();
  const Opened third = Open();
  const auto more =
      Await(sessions_->Open({.who = Ana(), .kind = "cli", .authenticated_at = clock_.WallNow()}));
  ASSERT_FALSE(more);
  EXPECT_EQ(more.error().code, Errc::limit_exceeded);
  ASSERT_TRUE(Await(sessions_->Revoke({.session = third.id}, "ana", "")));
  EXPECT_TRUE(Good(Open().token));
}

TEST_F(SessionsTest, AGroupThatWasLeftEndsWhatRestsOnIt) {
  const Nanos before = clock_.WallNow();
  sessions_->Saw(Ana(), before);
  op::Principal now = Ana();
  now.groups = {"staff"};
  op::Principal elsewhere = now;
  elsewhere.client_id = "another client that is told less";
  sessions_->Saw(elsewhere, before + 5);
  EXPECT_TRUE(ended_.empty());
  op::Principal by_login = Ana();  // another client: what it shows is not compared, but it ends
  by_login.client_id = "login";
  const Opened opened = Open(by_login);
  sessions_->Saw(now, before + 10);
  EXPECT_EQ(CodeOf(opened.token), Errc::session_ended);
  ASSERT_EQ(ended_.size(), 1u);
  EXPECT_EQ(ended_[0].whom.left_groups, std::vector<std::string>{"analysts"});
  EXPECT_TRUE(ended_[0].whom.Means(Ana()));
  EXPECT_FALSE(ended_[0].whom.Means(now));
  EXPECT_TRUE(sessions_->Revoked(Ana(), before));
  EXPECT_FALSE(sessions_->Revoked(now, before + 10));
}

TEST_F(SessionsTest, AGroupThatWasJoinedMakesNothingOutdated) {
  constexpr Nanos kSkew = 60'000'000'000;
  const Nanos before = clock_.WallNow();
  op::Principal joined = Ana();
  joined.groups.push_back("leads");
  sessions_->Saw(Ana(), before);
  EXPECT_FALSE(sessions_->Revoked(joined, before, kSkew));
  EXPECT_FALSE(sessions_->Revoked(joined, before + 1'000'000'000, kSkew));
  EXPECT_TRUE(sessions_->Revoked(joined, before - 1'000'000'000, kSkew));
}

TEST_F(SessionsTest, UnlockingWithFewerGroupsKeepsTheSessionAndEndsWhatRestsOnThem) {
  const Opened opened = Open();
  clock_.Advance(minutes(16));
  op::Principal fresh = Ana();
  fresh.groups = {"staff"};
  ASSERT_TRUE(Await(sessions_->Unlock(opened.id, fresh, clock_.WallNow())));
  const auto live = sessions_->Check(opened.token);
  ASSERT_TRUE(live);
  EXPECT_EQ((*live)->who.groups, std::vector<std::string>{"staff"});
  ASSERT_EQ(ended_.size(), 1u);
  EXPECT_EQ(ended_[0].whom.left_groups, std::vector<std::string>{"analysts"});
}

TEST_F(SessionsTest, CheckedByManyWhileOneIsRevoked) {
  const Opened opened = Open();
  std::atomic<bool> revoked{false}, wrong{false};
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int k = 0; k < 20'000; ++k) {
        const bool was = revoked.load();
        if (was && Good(opened.token)) wrong = true;
      }
    });
  }
  ASSERT_TRUE(Await(sessions_->Revoke({.session = opened.id}, "adam", "left")));
  revoked = true;
  for (std::thread& thread : threads) thread.join();
  EXPECT_FALSE(wrong);
}

}  // namespace
}  // namespace sallyport::access
