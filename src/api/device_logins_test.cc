#include "api/device_logins.h"

#include <gtest/gtest.h>
#include <set>

namespace sallyport::api {
namespace {

class FakeClock final : public Clock {
 public:
  Nanos WallNow() const override { return wall; }
  std::chrono::steady_clock::time_point SteadyNow() const override { return {}; }
  void Pass(std::chrono::milliseconds d) { wall += d.count() * 1'000'000; }
  Nanos wall = 1'795'000'000'000'000'000;
};

class DeviceLoginsTest : public testing::Test {
 protected:
  DeviceLogins::Begun Begun(std::string address = "10.0.0.1") {
    auto begun = logins_.Begin({.host = "build-7", .address = std::move(address)});
    EXPECT_TRUE(begun);
    return begun ? *begun : DeviceLogins::Begun{};
  }
  Errc Poll(const std::string& device_code) {
    std::string session;
    const auto opening = logins_.Poll(device_code, &session);
    return opening ? Errc::internal : opening.error().code;
  }
  static access::Opening Ana() {
    access::Opening opening;
    opening.who.subject = "ana";
    opening.kind = "cli";
    return opening;
  }
  template <class T>
  static Errc Code(const Result<T>& result) {
    return result ? Errc::internal : result.error().code;
  }

  FakeClock clock_;
  DeviceLogins logins_{clock_};
};

TEST_F(DeviceLoginsTest, ConfirmedOnceAndUsedOnce) {
  const auto begun = Begun();
  EXPECT_EQ(NormalUserCode(begun.user_code), begun.user_code);
  EXPECT_EQ(Poll(begun.device_code), Errc::login_pending);
  const auto asker = logins_.Find(begun.user_code, "ana");
  ASSERT_TRUE(asker);
  EXPECT_EQ(asker->address, "10.0.0.1");
  EXPECT_EQ(asker->asked_at, clock_.wall);
  ASSERT_TRUE(logins_.Approve(begun.user_code, "ana", Ana()));
  EXPECT_EQ(Code(logins_.Approve(begun.user_code, "bob", Ana())), Errc::login_code_unknown);
  EXPECT_EQ(Code(logins_.Deny(begun.user_code, "ana")), Errc::login_code_unknown);
  clock_.Pass(DeviceLogins::kInterval);
  std::string session;
  const auto opening = logins_.Poll(begun.device_code, &session);
  ASSERT_TRUE(opening);
  EXPECT_EQ(opening->who.subject, "ana");
  logins_.Opened(begun.device_code, "u_1");
  clock_.Pass(DeviceLogins::kInterval);
  EXPECT_EQ(Code(logins_.Poll(begun.device_code, &session)), Errc::login_code_unknown);
  EXPECT_EQ(session, "u_1");  // two hold the code: the session has to end
}

TEST_F(DeviceLoginsTest, TheCodesAreNotEachOthers) {
  const auto begun = Begun();
  EXPECT_EQ(Poll(begun.user_code), Errc::login_code_unknown);
  EXPECT_EQ(Code(logins_.Find(begun.device_code, "ana")), Errc::login_code_unknown);
  EXPECT_EQ(Code(logins_.Find("", "ana")), Errc::login_code_unknown);
}

TEST_F(DeviceLoginsTest, TooSoonCostsFiveSecondsMoreEachTime) {
  const auto begun = Begun();
  EXPECT_EQ(Poll(begun.device_code), Errc::login_pending);
  clock_.Pass(std::chrono::seconds(2));
  EXPECT_EQ(Poll(begun.device_code), Errc::login_slow_down);  // 10 s from here on
  clock_.Pass(std::chrono::seconds(6));
  EXPECT_EQ(Poll(begun.device_code), Errc::login_slow_down);  // 15 s
  ASSERT_TRUE(logins_.Approve(begun.user_code, "ana", Ana()));
  clock_.Pass(std::chrono::seconds(10));
  EXPECT_EQ(Poll(begun.device_code), Errc::login_slow_down);  // 20 s, and nothing given out
  clock_.Pass(std::chrono::seconds(20));
  EXPECT_EQ(Poll(begun.device_code), Errc::internal);
}

TEST_F(DeviceLoginsTest, DeniedAndExpiredAreTold) {
  const auto denied = Begun(), late = Begun();
  ASSERT_TRUE(logins_.Deny(denied.user_code, "ana"));
  EXPECT_EQ(Poll(denied.device_code), Errc::login_denied);
  EXPECT_EQ(Code(logins_.Approve(denied.user_code, "ana", Ana())), Errc::login_code_unknown);
  clock_.Pass(DeviceLogins::kWithin);
  EXPECT_EQ(Poll(late.device_code), Errc::login_expired);
  EXPECT_EQ(Code(logins_.Find(late.user_code, "ana")), Errc::login_code_unknown);
  EXPECT_EQ(Code(logins_.Approve(late.user_code, "ana", Ana())), Errc::login_code_unknown);
  clock_.Pass(DeviceLogins::kWithin);
  EXPECT_EQ(Poll(late.device_code), Errc::login_code_unknown);
}

TEST_F(DeviceLoginsTest, ApprovedButNotFetchedExpiresToo) {
  const auto begun = Begun();
  ASSERT_TRUE(logins_.Approve(begun.user_code, "ana", Ana()));
  clock_.Pass(DeviceLogins::kWithin);
  EXPECT_EQ(Poll(begun.device_code), Errc::login_expired);
}

TEST_F(DeviceLoginsTest, TenWrongGuessesAndTheRightOneIsRefusedToo) {
  const auto begun = Begun();
  for (uint32_t i = 0; i < DeviceLogins::kGuesses; ++i)
    EXPECT_EQ(Code(logins_.Find("BBBB-BBBB", "eve")), Errc::login_code_unknown);
  EXPECT_EQ(Code(logins_.Find(begun.user_code, "eve")), Errc::rate_limited);
  EXPECT_EQ(Code(logins_.Approve(begun.user_code, "eve", Ana())), Errc::rate_limited);
  EXPECT_TRUE(logins_.Find(begun.user_code, "ana"));  // nobody else is the worse for it
  clock_.Pass(DeviceLogins::kWithin - std::chrono::seconds(1));
  EXPECT_EQ(Code(logins_.Find("BBBB-BBBB", "eve")), Errc::rate_limited);
  clock_.Pass(std::chrono::seconds(1));
  EXPECT_EQ(Code(logins_.Find("BBBB-BBBB", "eve")), Errc::login_code_unknown);
}

TEST_F(DeviceLoginsTest, AnAddressBeginsSixtyInTenMinutes) {
  for (size_t i = 0; i < DeviceLogins::kPerAddress; ++i) {
    ASSERT_TRUE(logins_.Begin({.address = "10.0.0.1"}));
    ASSERT_TRUE(logins_.Begin({.address = "2001:db8:1:2::" + std::to_string(i + 1)}));
  }
  EXPECT_EQ(Code(logins_.Begin({.address = "10.0.0.1"})), Errc::limit_exceeded);
  EXPECT_EQ(Code(logins_.Begin({.address = "2001:db8:1:2:ffff::1"})), Errc::limit_exceeded);
  EXPECT_TRUE(logins_.Begin({.address = "10.0.0.2"}));
  EXPECT_TRUE(logins_.Begin({.address = "2001:db8:1:3::1"}));
  clock_.Pass(DeviceLogins::kWithin);
  EXPECT_TRUE(logins_.Begin({.address = "10.0.0.1"}));
}

TEST_F(DeviceLoginsTest, AltogetherThereIsAnEndToThem) {
  for (size_t i = 0; i < DeviceLogins::kMost; ++i)
    ASSERT_TRUE(logins_.Begin({.address = "a" + std::to_string(i)}));
  EXPECT_EQ(Code(logins_.Begin({.address = "b"})), Errc::limit_exceeded);
}

TEST(UserCode, AsPeopleTypeIt) {
  for (const char* typed : {"bcdf-ghjk", "BCDFGHJK", " bcdf ghjk ", "b-c-d-f-g-h-j-k"})
    EXPECT_EQ(NormalUserCode(typed), "BCDF-GHJK") << typed;
  for (const char* typed :
       {"", "BCDF-GHJ", "BCDF-GHJKL", "ACDF-GHJK", "BCDF_GHJK", "bcdf-gh\xc3\xa4k"})
    EXPECT_EQ(NormalUserCode(typed), "") << typed;
  EXPECT_EQ(NormalUserCode(std::string(100'000, ' ') + "BCDFGHJK"), "");
}

}  // namespace
}  // namespace sallyport::api
