// What the gate remembers for when people leave: names, signed messages, tokens of logins.
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <filesystem>
#include <fstream>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <optional>

#include "access/kept_grants.h"
#include "access/names.h"
#include "access/replays.h"
#include "access/store_sqlite.h"
#include "base/bytes.h"

namespace sallyport::access {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::IsEmpty;

constexpr Nanos kSecond = 1'000'000'000;

TEST(Names, EverybodyWhoHasShownIt) {
  Names names;
  names.Saw("https://idp", "ana", "Ana@Example.com", 10);
  names.Saw("https://other", "ana2", "ana@example.com", 10);
  EXPECT_THAT(*names.Find("https://idp", "ana@EXAMPLE.com"), ElementsAre("ana"));
  EXPECT_THAT(*names.Find("https://idp", "ann@example.com"), IsEmpty());
  names.Saw("https://idp", "impostor", "ana@example.com", 20);
  EXPECT_THAT(*names.Find("https://idp", "ana@example.com"), ElementsAre("ana", "impostor"));
  names.Forget(15);
  EXPECT_THAT(*names.Find("https://idp", "ana@example.com"), ElementsAre("impostor"));
}

TEST(Names, WhenSomeAreNotKeptNobodyCanTell) {
  Names names;
  for (size_t i = 0; i < Names::kMost; ++i)
    names.Saw("i", std::to_string(i), std::to_string(i), 10);
  EXPECT_THAT(*names.Find("i", "7"), ElementsAre("7"));
  names.Saw("i", "one too many", "7", 20);
  const auto found = names.Find("i", "7");
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().code, Errc::limit_exceeded);
  names.Forget(30);
  EXPECT_THAT(*names.Find("i", "7"), IsEmpty());
}

class LeavingTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = (fs::temp_directory_path() / "leaving-test-XXXXXX").string();
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    dir_ = name;
    Start();
  }
  void TearDown() override {
    writer_.reset();
    fs::remove_all(dir_);
  }
  void Start() {
    writer_.reset();
    auto database = state::Database::Open(dir_ / "state.db");
    ASSERT_TRUE(database);
    ASSERT_TRUE(PrepareState(**database));
    writer_ = std::make_unique<state::Writer>(std::move(database));
  }
  static state::Sealer Sealer(uint8_t fill) {
    return *state::Sealer::Make(Secret(Base64UrlEncode(std::vector<uint8_t>(32, fill)) + "\n"));
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

  fs::path dir_;
  std::unique_ptr<state::Writer> writer_;
};

TEST_F(LeavingTest, AMessageIsTakenOnceAlsoAfterARestart) {
  const Nanos until = SystemClock().WallNow() + 600 * kSecond;
  {
    Replays replays(*writer_, SystemClock());
    EXPECT_FALSE(replays.Seen("https://idp", "one"));
    EXPECT_TRUE(replays.Take("https://idp", "one", until));
    EXPECT_TRUE(replays.Seen("https://idp", "one"));
    const auto again = replays.Take("https://idp", "one", until);
    ASSERT_FALSE(again);
    EXPECT_EQ(again.error().code, Errc::token_used);
    EXPECT_TRUE(replays.Take("https://other", "one", until));
    EXPECT_FALSE(replays.Seen("https://id", "pone"))
        << "where one ends and the other begins counts";
  }
  Start();
  Replays replays(*writer_, SystemClock());
  EXPECT_EQ(replays.size(), 2u);
  EXPECT_FALSE(replays.Take("https://idp", "one", until));
}

TEST_F(LeavingTest, AMessageThatIsOverIsForgotten) {
  Replays replays(*writer_, SystemClock());
  EXPECT_TRUE(replays.Take("https://idp", "old", SystemClock().WallNow() - kSecond));
  EXPECT_TRUE(replays.Take("https://idp", "new", SystemClock().WallNow() + 60 * kSecond));
  EXPECT_EQ(replays.size(), 1u);
  EXPECT_TRUE(replays.Take("https://idp", "old", SystemClock().WallNow() + 60 * kSecond));
}

TEST_F(LeavingTest, ATokenIsKeptSealedForOnePerson) {
  const KeptGrants::Person ana{"https://idp", "ana"}, bob{"https://idp", "bob"};
  KeptGrants grants(*writer_, Sealer(1));
  ASSERT_TRUE(Await(grants.Keep(ana, Secret("a-token-of-ana"))));
  ASSERT_TRUE(Await(grants.Keep(bob, Secret("a-token-of-bob"))));
  ASSERT_TRUE(Await(grants.Keep(ana, Secret("a-newer-token-of-ana"))));
  EXPECT_EQ(Await(grants.Open(ana))->Reveal(), "a-newer-token-of-ana");
  EXPECT_EQ(Await(grants.Open({"https://idp", "eve"})).error().code, Errc::not_found);
  for (const auto& file : fs::directory_iterator(dir_)) {
    std::ifstream in(file.path(), std::ios::binary);
    const std::string bytes{std::istreambuf_iterator<char>(in), {}};
    EXPECT_EQ(bytes.find("token-of"), std::string::npos) << file.path();
  }
  KeptGrants other(*writer_, Sealer(2));
  EXPECT_EQ(Await(other.Open(ana)).error().code, Errc::state_unavailable);
  // Somebody who can write the state cannot give one person the token of another.
  ASSERT_TRUE(writer_->CommitBlocking([](state::Database& db) {
    return db.Execute(
        "UPDATE kept_grant SET sealed = (SELECT sealed FROM kept_grant WHERE"
        " subject = 'bob') WHERE subject = 'ana'");
  }));
  EXPECT_EQ(Await(grants.Open(ana)).error().code, Errc::state_unavailable);
  grants.ForgetAllBut({ana});
  EXPECT_EQ(Await(grants.Open(bob)).error().code, Errc::not_found);
  grants.Forget(ana);
  EXPECT_EQ(Await(grants.Open(ana)).error().code, Errc::not_found);
}

}  // namespace
}  // namespace sallyport::access
