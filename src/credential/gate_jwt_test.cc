#include "credential/gate_jwt.h"

#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <unistd.h>

#include "base/bytes.h"
#include "json/document.h"

namespace sallyport::credential {
namespace {

namespace fs = std::filesystem;

class HandClock final : public Clock {
 public:
  Nanos WallNow() const override { return now; }
  std::chrono::steady_clock::time_point SteadyNow() const override {
    return std::chrono::steady_clock::time_point(std::chrono::nanoseconds(now));
  }
  void Pass(std::chrono::seconds span) { now += span.count() * 1'000'000'000; }
  Nanos now = Nanos(1'795'000'000) * 1'000'000'000;
};

class Keys : public testing::Test {
 protected:
  ~Keys() override { fs::remove_all(directory_); }
  std::string Signing() const {
    const std::string token = keys_->Sign("{}").value();
    const auto header = Base64UrlDecode(token.substr(0, token.find('.'))).value();
    const std::string text(AsText(header));
    return std::string(json::Document::Parse(text)->root()["kid"].string().value());
  }
  std::vector<std::string> Published() const {
    const std::string text = keys_->Jwks();
    const auto doc = json::Document::Parse(text);
    std::vector<std::string> kids;
    for (auto key = doc->root()["keys"].at(0); key; key = key.next()) {
      EXPECT_FALSE(key["d"]);  // never the private part
      kids.emplace_back(key["kid"].string().value());
    }
    return kids;
  }

  const fs::path directory_ =
      fs::temp_directory_path() / ("sallyport-issuer-" + std::to_string(::getpid()));
  HandClock clock_;
  std::shared_ptr<IssuerKeys> keys_ = IssuerKeys::Open(KeysInFiles(directory_), clock_).value();
};

TEST_F(Keys, RotateWithoutAGap) {
  const std::string first = Signing();
  EXPECT_EQ(Published(), std::vector{first});
  clock_.Pass(IssuerKeys::kLife - std::chrono::seconds(1));
  ASSERT_TRUE(keys_->Tick());
  EXPECT_EQ(Published(), std::vector{first});
  clock_.Pass(std::chrono::seconds(1));
  ASSERT_TRUE(keys_->Tick());
  ASSERT_EQ(Published().size(), 2u);
  EXPECT_EQ(Signing(), first);  // published before it signs
  const std::string second = Published()[1];
  clock_.Pass(IssuerKeys::kPublishedBefore);
  ASSERT_TRUE(keys_->Tick());
  EXPECT_EQ(Signing(), second);
  EXPECT_EQ(Published(), (std::vector{first, second}));               // tokens under way
  keys_ = IssuerKeys::Open(KeysInFiles(directory_), clock_).value();  // a restart changes nothing
  EXPECT_EQ(Signing(), second);
  EXPECT_EQ(Published(), (std::vector{first, second}));
  clock_.Pass(IssuerKeys::kPublishedAfter);
  ASSERT_TRUE(keys_->Tick());
  EXPECT_EQ(Published(), std::vector{second});
  EXPECT_EQ(Signing(), second);
}

TEST_F(Keys, AFileThatIsNoKeyStopsTheStart) {
  std::ofstream(directory_ / "1795000001-x.pem") << "nothing";
  const auto opened = IssuerKeys::Open(KeysInFiles(directory_), clock_);
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, Errc::config_invalid);
}

/// A home that can be told to do nothing any more.
class Stubborn final : public KeyHome {
 public:
  class Named final : public IssuerKey {
   public:
    explicit Named(std::string kid) : kid_(std::move(kid)) {}
    Result<std::string> Sign(std::string_view) const override { return kid_; }
    std::string PublicJwk() const override { return "{\"kid\":\"" + kid_ + "\"}"; }

   private:
    const std::string kid_;
  };
  struct State {
    bool fails = false;
    int tries = 0;
    std::vector<std::string> kids;
  };
  explicit Stubborn(std::shared_ptr<State> state) : state_(std::move(state)) {}
  Result<std::vector<Held>> Read() override {
    std::vector<Held> keys;
    for (const auto& kid : state_->kids) keys.push_back({kid, std::make_shared<Named>(kid)});
    return keys;
  }
  Result<Held> Make(const std::string& kid) override {
    ++state_->tries;
    if (state_->fails) return Fail(Errc::io_failed, "no");
    state_->kids.push_back(kid);
    return Held{kid, std::make_shared<Named>(kid)};
  }
  Result<> Destroy(const std::string& kid) override {
    ++state_->tries;
    if (state_->fails) return Fail(Errc::io_failed, "no");
    std::erase(state_->kids, kid);
    return {};
  }

 private:
  const std::shared_ptr<State> state_;
};

TEST(IssuerKeys, AHomeThatFailsIsAskedAgainButNotEverySecond) {
  HandClock clock;
  const auto state = std::make_shared<Stubborn::State>();
  const auto keys = IssuerKeys::Open(std::make_unique<Stubborn>(state), clock).value();
  const std::string first = keys->Sign("").value();
  state->fails = true;
  clock.Pass(IssuerKeys::kLife);
  EXPECT_TRUE(keys->Due());
  EXPECT_FALSE(keys->Tick());
  EXPECT_FALSE(keys->Due());
  for (int i = 0; i < 59; ++i, clock.Pass(std::chrono::seconds(1))) (void)keys->Tick();
  EXPECT_EQ(state->tries, 2);
  EXPECT_EQ(keys->Sign("").value(), first);  // the old one goes on
  clock.Pass(IssuerKeys::kAgain);
  state->fails = false;
  EXPECT_TRUE(keys->Tick());
  ASSERT_EQ(state->kids.size(), 2u);
  clock.Pass(IssuerKeys::kPublishedBefore + IssuerKeys::kPublishedAfter);
  state->fails = true;
  EXPECT_FALSE(keys->Tick());
  EXPECT_FALSE(keys->Jwks().contains(first));  // had its time, destroyed or not
  EXPECT_EQ(keys->Sign("").value(), state->kids[1]);
  const int tries = state->tries;
  EXPECT_TRUE(keys->Tick());
  EXPECT_EQ(state->tries, tries);
  state->fails = false;
  clock.Pass(IssuerKeys::kAgain);
  EXPECT_TRUE(keys->Due());
  EXPECT_TRUE(keys->Tick());
  EXPECT_EQ(state->kids.size(), 1u);
  EXPECT_FALSE(keys->Due());
}

TEST(IssuerKeys, AKidIsOneOfOursOrIsLeftAlone) {
  EXPECT_EQ(MadeAt("1795000001-aB_9"), 1'795'000'001);
  for (const char* other : {"", "x", "1795000001", "1795000001x", "-5-a", "0-a", "1795000001-a\"b",
                            "1795000001-a/../b", "99999999999999999999-a"})
    EXPECT_EQ(MadeAt(other), 0) << other;
}

TEST(Claims, NameThePersonAndWhoActs) {
  op::Principal who{.issuer = "https://idp", .subject = "4\"2", .name = "ana", .provider = "corp"};
  who.client_id = "claude";
  const auto read = [&] {
    return ClaimsOf(who, "https://gate", {.audience = "up"}, 5'000'000'000);
  };
  std::string text = read();
  auto doc = json::Document::Parse(text);
  ASSERT_TRUE(doc) << text;
  EXPECT_EQ(doc->root()["sub"].string(), "corp:4\"2");
  EXPECT_EQ(doc->root()["aud"].string(), "up");
  EXPECT_EQ(doc->root()["exp"].integer(), 305);
  EXPECT_EQ(doc->root()["act"]["sub"].string(), "client:claude");
  EXPECT_EQ(doc->root()["idp"]["sub"].string(), "4\"2");
  who.agent = "refunds";
  text = read();
  doc = json::Document::Parse(text);
  EXPECT_EQ(doc->root()["act"]["sub"].string(), "agent:refunds");
  who.agent.clear();
  who.client_id = who.subject;
  text = read();
  doc = json::Document::Parse(text);
  EXPECT_FALSE(doc->root()["act"]);
}

}  // namespace
}  // namespace sallyport::credential
