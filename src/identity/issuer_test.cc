#include "identity/issuer.h"

#include <future>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <string>

#include "identity/signer.h"
#include "identity/test_idp.h"

namespace sallyport::identity {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;
using testing::HasSubstr;
using State = IssuerStatus::State;

class IssuerTest : public testing::Test {
 protected:
  void SetUp() override {
    idp_.ServeKeys({key_});
    Make(test::Corp());
  }
  void Make(ProviderConfig config) {
    auto issuer = Issuer::Create(std::move(config), idp_.fetch(), clock_, nullptr);
    ASSERT_TRUE(issuer) << issuer.error().detail;
    issuer_ = std::move(*issuer);
  }
  bool Knows(std::string_view kid) { return issuer_->Find(kid).key != nullptr; }
  /// Asks for a refresh because of `kid`; whether it was granted.
  bool Ask(const std::string& kid) {
    bool at_once = false;
    issuer_->RefreshThen(kid, [&at_once, this] { at_once = !running_; });
    running_ = true;
    bool ran = issuer_->RunDue();
    running_ = false;
    return !at_once && ran;
  }

  test::FakeClock clock_;
  test::FakeIdp idp_{"https://idp"};
  std::string key_ = Signer::Generate(Alg::es256, "k1")->PublicJwk();
  std::string key2_ = Signer::Generate(Alg::es256, "k2")->PublicJwk();
  std::unique_ptr<Issuer> issuer_;
  bool running_ = false;
};

TEST_F(IssuerTest, DiscoversAndFetches) {
  EXPECT_EQ(issuer_->Status().state, State::starting);
  EXPECT_EQ(issuer_->Find("k1").why, Errc::identity_provider_down);
  EXPECT_TRUE(issuer_->Find("k1").may_refresh);
  ASSERT_TRUE(issuer_->RunDue());
  EXPECT_TRUE(Knows("k1"));
  EXPECT_EQ(issuer_->Status().state, State::ready);
  EXPECT_THAT(idp_.urls, testing::ElementsAre("https://idp/.well-known/openid-configuration",
                                              "https://idp/jwks"));
  EXPECT_FALSE(issuer_->RunDue());
}

TEST_F(IssuerTest, RefreshesAtTheIssuersPaceWithinBounds) {
  const std::pair<const char*, seconds> cases[] = {{"", minutes(15)},
                                                   {"public, max-age=3600", hours(1)},
                                                   {"max-age=1", minutes(5)},
                                                   {"no-store, max-age=7200", minutes(5)},
                                                   {"Max-Age=99999999999999999999", hours(24)},
                                                   {"max-age=x", minutes(5)}};
  for (const auto& [header, pace] : cases) {
    idp_.cache_control = header;
    idp_.ServeKeys({key_});
    Make(test::Corp());
    ASSERT_TRUE(issuer_->RunDue());
    clock_.Advance(pace - seconds(1));
    EXPECT_FALSE(issuer_->RunDue()) << header;
    clock_.Advance(seconds(1));
    EXPECT_TRUE(issuer_->RunDue()) << header;
  }
}

TEST_F(IssuerTest, RotationByScheduleAndOnDemand) {
  issuer_->RunDue();
  idp_.ServeKeys({key_, key2_});
  clock_.Advance(seconds(10));
  EXPECT_TRUE(issuer_->Find("k2").may_refresh);
  EXPECT_TRUE(Ask("k2"));
  EXPECT_TRUE(Knows("k2"));
  idp_.ServeKeys({key2_});
  EXPECT_TRUE(Knows("k1"));
  clock_.Advance(minutes(15));
  EXPECT_TRUE(issuer_->RunDue());
  EXPECT_FALSE(Knows("k1"));
  EXPECT_TRUE(Knows("k2"));
}

TEST_F(IssuerTest, AnUnknownKidAsksOncePerTenSecondsAndIsRememberedForSixty) {
  issuer_->RunDue();
  EXPECT_FALSE(issuer_->Find("x1").may_refresh) << "less than 10 s after the last fetch";
  EXPECT_FALSE(Ask("x1"));
  clock_.Advance(seconds(10));
  EXPECT_TRUE(Ask("x1"));
  EXPECT_EQ(idp_.key_fetches, 2);
  clock_.Advance(seconds(59));
  EXPECT_FALSE(issuer_->Find("x1").may_refresh) << "known to be unknown";
  EXPECT_TRUE(issuer_->Find("x2").may_refresh);
  clock_.Advance(seconds(1));
  EXPECT_TRUE(issuer_->Find("x1").may_refresh);
}

TEST_F(IssuerTest, TenThousandRandomKidsCauseOneFetch) {
  issuer_->RunDue();
  clock_.Advance(seconds(30));
  int ended = 0;
  for (int i = 0; i < 10'000; ++i) {
    std::string kid = "random-" + std::to_string(i);
    if (issuer_->Find(kid).may_refresh) issuer_->RefreshThen(kid, [&] { ++ended; });
    if (i % 1000 == 999) issuer_->RunDue();
    EXPECT_TRUE(Knows("k1"));
  }
  EXPECT_EQ(idp_.key_fetches, 2);
  EXPECT_EQ(ended, 1000);
}

TEST_F(IssuerTest, OutageKeepsKnownKeysThenFailsClosed) {
  issuer_->RunDue();
  idp_.down = true;
  for (int minute = 0; minute < 60; ++minute) {
    clock_.Advance(minutes(1));
    issuer_->RunDue();
  }
  EXPECT_TRUE(Knows("k1")) << "an hour without the issuer";
  EXPECT_EQ(issuer_->Status().state, State::stale);
  EXPECT_THAT(issuer_->Status().last_error, HasSubstr("refused"));
  clock_.Advance(hours(3) + minutes(14));
  EXPECT_TRUE(Knows("k1"));
  clock_.Advance(minutes(1));
  EXPECT_FALSE(Knows("k1"));
  EXPECT_EQ(issuer_->Find("k1").why, Errc::identity_provider_down);
  EXPECT_EQ(issuer_->Status().state, State::down);
  idp_.down = false;
  EXPECT_TRUE(issuer_->RunDue());
  EXPECT_TRUE(Knows("k1"));
}

TEST_F(IssuerTest, RetriesBackOffDuringAnOutage) {
  issuer_->RunDue();
  idp_.down = true;
  clock_.Advance(minutes(15));
  size_t before = idp_.urls.size();
  for (int i = 0; i < 3600; ++i) {
    issuer_->RunDue();
    clock_.Advance(seconds(1));
  }
  size_t tries = idp_.urls.size() - before;
  EXPECT_GE(tries, 10u);
  EXPECT_LE(tries, 20u);
}

TEST_F(IssuerTest, AFreshBootWithoutTheIssuerFailsClosed) {
  idp_.down = true;
  issuer_->RunDue();
  EXPECT_EQ(issuer_->Find("k1").why, Errc::identity_provider_down);
  EXPECT_FALSE(issuer_->Find("k1").may_refresh);
  EXPECT_EQ(issuer_->Status().state, State::down);
  idp_.down = false;
  clock_.Advance(seconds(1));
  EXPECT_TRUE(issuer_->RunDue()) << "tried again soon after";
  EXPECT_TRUE(Knows("k1"));
}

TEST_F(IssuerTest, PoisonedAnswersLeaveTheLastGoodKeys) {
  issuer_->RunDue();
  const std::string poison[] = {
      std::string(10 << 20, ' '), "", "<html>", "{\"keys\":7}", "{\"keys\":[],\"keys\":[]}",
      std::string(100'000, '[')};
  for (const auto& body : poison) {
    idp_.Serve("/jwks", body);
    clock_.Advance(minutes(16));
    EXPECT_TRUE(issuer_->RunDue());
    EXPECT_TRUE(Knows("k1"));
    EXPECT_EQ(issuer_->Status().state, State::stale);
  }
  idp_.Serve("/jwks", Jwks({key2_}), 500);
  clock_.Advance(minutes(16));
  EXPECT_TRUE(issuer_->RunDue());
  EXPECT_FALSE(Knows("k2"));
  // An honest empty set is the issuer's word.
  idp_.Serve("/jwks", R"({"keys":[]})");
  clock_.Advance(minutes(16));
  EXPECT_TRUE(issuer_->RunDue());
  EXPECT_FALSE(Knows("k1"));
  EXPECT_EQ(issuer_->Find("k1").why, Errc::token_key_unknown);
}

TEST_F(IssuerTest, UnusableKeysAreSkippedAndReported) {
  std::vector<std::string> skipped;
  auto issuer = Issuer::Create(test::Corp(), idp_.fetch(), clock_,
                               [&](const IssuerEvent& e) { skipped = e.skipped; });
  idp_.ServeKeys({key_, R"({"kty":"oct","kid":"k9","k":"AAAA"})", R"({"kid":"none"})"});
  (*issuer)->RunDue();
  EXPECT_EQ(skipped.size(), 2u);
  EXPECT_NE((*issuer)->Find("k1").key, nullptr);
  EXPECT_EQ((*issuer)->Find("k9").key, nullptr);
}

TEST_F(IssuerTest, DiscoveryMustNameTheConfiguredIssuer) {
  for (const char* document :
       {R"({"issuer":"https://idp/","jwks_uri":"https://idp/jwks"})",
        R"({"issuer":"https://evil","jwks_uri":"https://idp/jwks"})",
        R"({"issuer":["https://idp"],"jwks_uri":"https://idp/jwks"})",
        R"({"jwks_uri":"https://idp/jwks"})", R"({"issuer":"https://idp"})",
        R"({"issuer":"https://idp","jwks_uri":"https://idp.evil/jwks"})",
        R"({"issuer":"https://idp","jwks_uri":"http://idp/jwks"})",
        R"({"issuer":"https://idp","jwks_uri":"http://127.0.0.1:9/jwks"})",
        R"({"issuer":"https://idp","jwks_uri":"https://idp@evil/jwks"})",
        R"({"issuer":"https://idp","jwks_uri":"https://idp:8443/jwks"})",
        R"({"issuer":"https://idp","jwks_uri":"file:///etc/passwd"})", "[]", "<html>"}) {
    idp_.Serve("/.well-known/openid-configuration", document);
    Make(test::Corp());
    issuer_->RunDue();
    EXPECT_FALSE(Knows("k1")) << document;
    EXPECT_EQ(issuer_->Status().state, State::down) << document;
  }
  EXPECT_EQ(idp_.key_fetches, 0);
}

TEST_F(IssuerTest, APinnedKeyUriNeedsNoDiscovery) {
  auto config = test::Corp();
  config.jwks_uri = "https://idp/jwks";
  idp_.Serve("/.well-known/openid-configuration", "{}");
  Make(config);
  issuer_->RunDue();
  EXPECT_TRUE(Knows("k1"));
}

TEST_F(IssuerTest, FlushForgetsAtOnceAndFetches) {
  issuer_->RunDue();
  issuer_->Flush();
  EXPECT_FALSE(Knows("k1"));
  EXPECT_TRUE(issuer_->RunDue());
  EXPECT_TRUE(Knows("k1"));
}

TEST_F(IssuerTest, TheThreadFetchesOnceForManyWaitersAndStopCompletesThem) {
  std::promise<void> entered, leave;
  std::atomic<int> fetches{0};
  idp_.on_fetch = [&](const FetchRequest& r) {
    if (!r.url.ends_with("/jwks") || ++fetches != 1) return;
    entered.set_value();
    leave.get_future().wait();
  };
  Make(test::Corp());
  issuer_->Start();
  entered.get_future().wait();
  std::atomic<int> done{0};
  for (int i = 0; i < 100; ++i) {
    EXPECT_TRUE(issuer_->Find("k1").may_refresh);
    issuer_->RefreshThen("k1", [&] { ++done; });
  }
  EXPECT_EQ(done, 0);
  leave.set_value();
  while (done < 100) std::this_thread::yield();
  EXPECT_TRUE(Knows("k1"));
  EXPECT_EQ(fetches, 1);
  issuer_->Stop();
  bool at_once = false;
  issuer_->RefreshThen("k7", [&] { at_once = true; });
  EXPECT_TRUE(at_once);
}

TEST_F(IssuerTest, KeysFromAFileAreNeverFetched) {
  auto config = test::Corp();
  config.jwks_file = std::string(SALLYPORT_TESTDATA) + "/jose/jwks.json";
  Make(config);
  issuer_->Start();
  EXPECT_TRUE(Knows("es"));
  EXPECT_FALSE(issuer_->Find("zz").may_refresh);
  clock_.Advance(hours(1000));
  EXPECT_TRUE(Knows("es"));
  EXPECT_TRUE(idp_.urls.empty());
  config.jwks_file = "/nonexistent";
  EXPECT_EQ(Issuer::Create(config, idp_.fetch(), clock_, nullptr).error().code,
            Errc::config_invalid);
}

}  // namespace
}  // namespace sallyport::identity
