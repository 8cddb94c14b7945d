#include "oauth/grants.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <filesystem>
#include <gtest/gtest.h>

namespace sallyport::oauth {
namespace {

namespace fs = std::filesystem;

class FakeClock final : public Clock {
 public:
  Nanos WallNow() const override { return now; }
  std::chrono::steady_clock::time_point SteadyNow() const override { return {}; }
  Nanos now = Nanos(1'800'000'000) * 1'000'000'000;
  void Pass(int64_t seconds) { now += seconds * 1'000'000'000; }
};

class GrantsTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = (fs::temp_directory_path() / "oauth-test-XXXXXX").string();
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    dir_ = name;
    Start();
  }
  void TearDown() override {
    Stop();
    fs::remove_all(dir_);
  }
  void Start() {
    auto database = state::Database::Open(dir_ / "state.db");
    ASSERT_TRUE(database && PrepareState(**database));
    writer_ = std::make_unique<state::Writer>(std::move(database));
    grants_ = std::make_unique<Grants>(MakeSqliteStore(*writer_), clock_);
  }
  void Stop() {
    grants_.reset();
    writer_.reset();
  }
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
  std::string Issue() {
    return grants_->Issue({.client = "desk",
                           .redirect_uri = "https://a.example/cb",
                           .challenge = Challenge(kVerifier),
                           .resource = "r",
                           .scope = "s",
                           .opening = {}});
  }
  Result<Granted> Redeem(const std::string& code, std::string* session = nullptr) {
    std::string own;
    return grants_->Redeem({.code = code,
                            .client = "desk",
                            .redirect_uri = "https://a.example/cb",
                            .verifier = kVerifier},
                           session != nullptr ? session : &own);
  }
  std::string Begin() {
    return *Await(grants_->Begin("u_1", "desk", clock_.now + Nanos(4) * 3600 * 1'000'000'000));
  }
  Result<Grants::Turn> Rotate(const std::string& token, const std::string& client = "desk") {
    ended_.clear();
    return Await(grants_->Rotate(token, client, &ended_));
  }

  const std::string kVerifier = std::string(43, 'v');
  FakeClock clock_;
  fs::path dir_;
  std::unique_ptr<state::Writer> writer_;
  std::unique_ptr<Grants> grants_;
  std::string ended_;
};

TEST_F(GrantsTest, ACodeOnce) {
  const std::string code = Issue();
  ASSERT_TRUE(Redeem(code));
  grants_->Redeemed(code, "u_9");
  std::string session;
  EXPECT_EQ(Redeem(code, &session).error().code, Errc::state_invalid);
  EXPECT_EQ(session, "u_9");
  clock_.Pass(300);  // also long after it
  session.clear();
  EXPECT_FALSE(Redeem(code, &session));
  EXPECT_EQ(session, "u_9");
}

TEST_F(GrantsTest, ACodeForAMinute) {
  const std::string late = Issue();
  clock_.Pass(60);
  EXPECT_FALSE(Redeem(late));
  const std::string early = Issue();
  clock_.Pass(59);
  EXPECT_TRUE(Redeem(early));
}

TEST_F(GrantsTest, ACodeForWhoAsked) {
  std::string session;
  const std::string redirect = "https://a.example/cb";
  for (const Grants::Shown& shown :
       {Grants::Shown{"", "other", redirect, kVerifier},
        Grants::Shown{"", "desk", "https://a.example/cb/", kVerifier},
        Grants::Shown{"", "desk", redirect,
                      std::string_view("wwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwww")},
        Grants::Shown{"", "desk", redirect, ""}}) {
    const std::string code = Issue();
    Grants::Shown wrong = shown;
    wrong.code = code;
    EXPECT_FALSE(grants_->Redeem(wrong, &session));
    EXPECT_FALSE(Redeem(code)) << "a guess makes it worthless";
  }
}

TEST_F(GrantsTest, RefreshTokensRotate) {
  const std::string one = Begin();
  EXPECT_EQ(grants_->SessionOf(one), "u_1");
  const auto two = Rotate(one);
  ASSERT_TRUE(two);
  EXPECT_EQ(two->session, "u_1");
  EXPECT_FALSE(two->lost);
  EXPECT_NE(two->token, one);
  clock_.Pass(3600);
  const auto three = Rotate(two->token);
  ASSERT_TRUE(three);
  // Two generations back is a copy, whenever it comes.
  EXPECT_EQ(Rotate(one).error().code, Errc::token_used);
  EXPECT_EQ(ended_, "u_1");
}

TEST_F(GrantsTest, ALostAnswerIsForgivenOnceWithinAMinute) {
  const std::string one = Begin();
  const auto lost = Rotate(one);
  clock_.Pass(59);
  const auto again = Rotate(one);
  ASSERT_TRUE(again);
  EXPECT_TRUE(again->lost);
  EXPECT_EQ(Rotate(one).error().code, Errc::token_used) << "but not twice";
  EXPECT_EQ(Rotate(lost->token).error().code, Errc::token_used)
      << "who has the lost one is another";
  EXPECT_EQ(ended_, "u_1");
}

TEST_F(GrantsTest, AfterAMinuteItIsACopy) {
  const std::string one = Begin();
  ASSERT_TRUE(Rotate(one));
  clock_.Pass(60);
  EXPECT_EQ(Rotate(one).error().code, Errc::token_used);
  EXPECT_EQ(ended_, "u_1");
}

TEST_F(GrantsTest, RefreshTokensOutliveARestart) {
  const std::string one = Begin();
  const auto two = Rotate(one);
  Stop();
  Start();
  ASSERT_TRUE(Rotate(two->token));
  clock_.Pass(61);
  EXPECT_EQ(Rotate(two->token).error().code, Errc::token_used);
  EXPECT_EQ(Rotate(one).error().code, Errc::token_used);
}

TEST_F(GrantsTest, WhatIsNoRefreshTokenOfTheClient) {
  const std::string one = Begin();
  EXPECT_EQ(Rotate(one, "other").error().code, Errc::state_invalid);
  EXPECT_EQ(ended_, "");
  for (const std::string& token : {std::string(), std::string("spr_"), one.substr(1), one + "A",
                                   "spr_" + std::string(67, 'A')})
    EXPECT_EQ(Rotate(token).error().code, Errc::state_invalid) << token;
  EXPECT_EQ(ended_, "") << "nobody can name a family that is not theirs";
  grants_->Forget("u_1");
  EXPECT_EQ(Rotate(one).error().code, Errc::state_invalid);
  const std::string two = Begin();
  clock_.Pass(4 * 3600);
  EXPECT_EQ(Rotate(two).error().code, Errc::state_invalid) << "the session is over";
}

TEST_F(GrantsTest, AConsentIsForJustThat) {
  const Consent consent{
      .issuer = "i", .subject = "s", .client = "c", .redirect = "r", .resource = "t", .scope = "w"};
  ASSERT_TRUE(Await(grants_->Agree(consent)));
  Stop();
  Start();
  EXPECT_TRUE(grants_->Agreed(consent));
  for (std::string Consent::* field : {&Consent::issuer, &Consent::subject, &Consent::client,
                                       &Consent::redirect, &Consent::resource, &Consent::scope}) {
    Consent other = consent;
    other.*field = "x";
    EXPECT_FALSE(grants_->Agreed(other));
  }
  Consent moved = consent;  // the same text, cut elsewhere
  moved.issuer = "is";
  moved.subject = "";
  EXPECT_FALSE(grants_->Agreed(moved));
  clock_.Pass(91 * 86'400);
  EXPECT_FALSE(grants_->Agreed(consent));
}

}  // namespace
}  // namespace sallyport::oauth
