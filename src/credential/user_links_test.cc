#include "credential/user_links.h"

#include <filesystem>
#include <gtest/gtest.h>

#include "base/bytes.h"

namespace sallyport::credential {
namespace {

namespace fs = std::filesystem;

const UserLinks::Person kAna{"https://corp.example", "ana"}, kBen{"https://corp.example", "ben"};

class UserLinksTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = (fs::temp_directory_path() / "links-test-XXXXXX").string();
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    dir_ = name;
    Start();
  }
  void TearDown() override {
    writer_.reset();
    fs::remove_all(dir_);
  }
  void Start() {
    auto database = state::Database::Open(dir_ / "state.db");
    ASSERT_TRUE(database && UserLinks::Migrate(**database));
    writer_ = std::make_unique<state::Writer>(std::move(database));
    links_ = Load("payments");
  }
  void Restart() {
    links_.reset();
    writer_.reset();
    Start();
  }
  std::shared_ptr<UserLinks> Load(std::string connection) {
    auto sealer = state::Sealer::Make(Secret(Base64UrlEncode(AsBytes(std::string(32, 'k')))));
    auto loaded = UserLinks::Load(std::move(connection), *writer_, *sealer);
    EXPECT_TRUE(loaded);
    return loaded ? *loaded : nullptr;
  }
  static UserLink LinkOf(std::string id, std::string access) {
    UserLink link;
    link.id = std::move(id);
    link.tokens.access = Secret(std::move(access));
    link.tokens.refresh = Secret("refresh-canary");
    link.tokens.seconds = 60;
    link.scope = "read";
    link.client = {.id = "gate", .secret = Secret("s"), .auth = UserOAuth::ClientAuth::post};
    return link;
  }
  std::string AccessOf(const UserLinks::Person& person) {
    const auto link = links_->Open(person);
    return link ? std::string(link->tokens.access.Reveal()) : "";
  }

  fs::path dir_;
  std::unique_ptr<state::Writer> writer_;
  std::shared_ptr<UserLinks> links_;
};

TEST_F(UserLinksTest, OutliveTheProcessForTheirPersonAlone) {
  ASSERT_TRUE(links_->Put(kAna, LinkOf("ul_1", "access-canary")));
  Restart();
  EXPECT_TRUE(links_->Has(kAna));
  EXPECT_FALSE(links_->Has(kBen));
  const auto link = links_->Open(kAna);
  ASSERT_TRUE(link);
  EXPECT_EQ(link->id, "ul_1");
  EXPECT_EQ(link->tokens.access.Reveal(), "access-canary");
  EXPECT_EQ(link->tokens.refresh.Reveal(), "refresh-canary");
  EXPECT_EQ(link->client.auth, UserOAuth::ClientAuth::post);
  EXPECT_FALSE(Load("other")->Has(kAna));
}

TEST_F(UserLinksTest, ARowOfSomebodyElseCannotBeOpened) {
  ASSERT_TRUE(links_->Put(kAna, LinkOf("ul_1", "access-canary")));
  ASSERT_TRUE(writer_->CommitBlocking(
      [](state::Database& db) { return db.Execute("UPDATE upstream_link SET subject = 'ben'"); }));
  Restart();
  EXPECT_TRUE(links_->Has(kBen));
  EXPECT_FALSE(links_->Open(kBen));
}

TEST_F(UserLinksTest, ARefreshBringsNothingBack) {
  ASSERT_TRUE(links_->Put(kAna, LinkOf("ul_1", "first")));
  EXPECT_EQ(links_->Renew(kAna, LinkOf("ul_1", "second")).value_or(false), true);
  EXPECT_EQ(AccessOf(kAna), "second");
  ASSERT_TRUE(links_->Drop(kAna, "ul_1"));
  EXPECT_EQ(links_->Renew(kAna, LinkOf("ul_1", "third")).value_or(true), false);
  Restart();
  EXPECT_FALSE(links_->Has(kAna));
}

TEST_F(UserLinksTest, ARefreshOfAnOlderLinkChangesNothing) {
  ASSERT_TRUE(links_->Put(kAna, LinkOf("ul_1", "first")));
  ASSERT_TRUE(links_->Put(kAna, LinkOf("ul_2", "again")));
  EXPECT_EQ(links_->Renew(kAna, LinkOf("ul_1", "late")).value_or(true), false);
  EXPECT_FALSE(links_->Drop(kAna, "ul_1"));
  Restart();
  EXPECT_EQ(AccessOf(kAna), "again");
}

TEST_F(UserLinksTest, OtherConnectionsAreDeletedAtTheStart) {
  ASSERT_TRUE(links_->Put(kAna, LinkOf("ul_1", "first")));
  ASSERT_TRUE(Load("gone")->Put(kAna, LinkOf("ul_2", "second")));
  ASSERT_TRUE(Load("gone")->Register("https://login.example", "https://gate.example/cb",
                                     {.id = "c", .secret = Secret("s"), .auth = {}}));
  ASSERT_TRUE(UserLinks::KeepOnly({"payments"}, *writer_));
  EXPECT_FALSE(Load("gone")->Has(kAna));
  const auto registered =
      Load("gone")->Registered("https://login.example", "https://gate.example/cb");
  EXPECT_TRUE(registered && !*registered);
  EXPECT_TRUE(Load("payments")->Has(kAna));
}

}  // namespace
}  // namespace sallyport::credential
