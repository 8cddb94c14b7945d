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
  std::shared_ptr<IssuerKeys> keys_ = IssuerKeys::Open(directory_, clock_).value();
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
  EXPECT_EQ(Published(), (std::vector{first, second}));  // tokens under way
  keys_ = IssuerKeys::Open(directory_, clock_).value();  // a restart changes nothing
  EXPECT_EQ(Signing(), second);
  EXPECT_EQ(Published(), (std::vector{first, second}));
  clock_.Pass(IssuerKeys::kPublishedAfter);
  ASSERT_TRUE(keys_->Tick());
  EXPECT_EQ(Published(), std::vector{second});
  EXPECT_EQ(Signing(), second);
}

TEST_F(Keys, AFileThatIsNoKeyStopsTheStart) {
  std::ofstream(directory_ / "1795000001-x.pem") << "nothing";
  const auto opened = IssuerKeys::Open(directory_, clock_);
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, Errc::config_invalid);
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
