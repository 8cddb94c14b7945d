#include "access/uses.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <filesystem>
#include <gtest/gtest.h>

#include "access/sessions.h"
#include "access/store_sqlite.h"
#include "policy/grant.h"

namespace sallyport::access {
namespace {

namespace fs = std::filesystem;

class UsesTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = (fs::temp_directory_path() / "uses-test-XXXXXX").string();
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
    uses_ = std::make_unique<Uses>(*writer_);
    sessions_ = Sessions::Make({}, MakeSqliteStore(*writer_), SystemClock());
  }
  void Stop() {
    sessions_.reset();
    uses_.reset();
    writer_.reset();
  }
  template <class F>
  void Run(F body) {
    boost::asio::io_context io(1);
    std::exception_ptr thrown;
    boost::asio::co_spawn(io, body(), [&](std::exception_ptr e) { thrown = e; });
    io.run();
    if (thrown) std::rethrow_exception(thrown);
  }
  Result<> Take(const std::string& session, uint32_t limit, uint32_t most) {
    Result<> result;
    Run([&]() -> boost::asio::awaitable<void> {
      result = co_await uses_->Take(session, limit, most);
    });
    return result;
  }
  Result<Opened> Open(Opening opening) {
    opening.who.issuer = "https://idp.example";
    opening.who.subject = "u1";
    opening.kind = "cli";
    opening.authenticated_at = SystemClock().WallNow();
    Result<Opened> opened = Fail(Errc::internal);
    Run([&]() -> boost::asio::awaitable<void> {
      opened = co_await sessions_->Open(std::move(opening));
    });
    return opened;
  }

  fs::path dir_;
  std::unique_ptr<state::Writer> writer_;
  std::unique_ptr<Uses> uses_;
  std::unique_ptr<Sessions> sessions_;
};

TEST_F(UsesTest, RunOutAndStayOutOverARestart) {
  const auto opened = Open({.scope = "uses=2"});
  ASSERT_TRUE(opened) << opened.error().detail;
  EXPECT_TRUE(Take(opened->id, 0, 2));
  EXPECT_TRUE(Take(opened->id, 1, 1)) << "each limit has its own";
  Stop();
  Start();
  EXPECT_EQ(uses_->Used(opened->id, 0), 1u);
  EXPECT_TRUE(Take(opened->id, 0, 2));
  Stop();
  Start();
  EXPECT_EQ(Take(opened->id, 0, 2).error().code, Errc::grant_exceeded);
  EXPECT_EQ(Take(opened->id, 1, 1).error().code, Errc::grant_exceeded);
}

TEST_F(UsesTest, OfSessionsThatAreNoMoreNothingIsKept) {
  EXPECT_TRUE(Take("u_gone", 0, 1));
  Stop();
  Start();
  EXPECT_EQ(uses_->Used("u_gone", 0), 0u);
}

TEST_F(UsesTest, WithoutTheStateNothingThatIsCountedGoesThrough) {
  state::Writer broken(Fail(Errc::state_unavailable, "gone"));
  Uses uses(broken);
  Run([&]() -> boost::asio::awaitable<void> {
    EXPECT_EQ((co_await uses.Take("u_1", 0, 1)).error().code, Errc::state_unavailable);
  });
  writer_->Close();
  EXPECT_EQ(Take("u_1", 0, 1).error().code, Errc::state_unavailable);
}

TEST_F(UsesTest, ASessionKeepsItsLimitsAndEndsInTime) {
  EXPECT_EQ(Open({.scope = "nonsense"}).error().code, Errc::request_malformed);
  const Nanos now = SystemClock().WallNow();
  const auto opened = Open({.scope = "tool=a\ntool=b", .lasts = std::chrono::minutes(30)});
  ASSERT_TRUE(opened) << opened.error().detail;
  EXPECT_NEAR(double(opened->expires_at - now), 1800e9, 60e9);
  const auto longest = Open({.lasts = std::chrono::hours(240)});
  EXPECT_NEAR(double(longest->expires_at - now), 4 * 3600e9, 60e9) << "never longer";
  Stop();
  Start();
  const auto live = sessions_->Check(opened->token);
  ASSERT_TRUE(live) << live.error().detail;
  ASSERT_TRUE((*live)->who.grant);
  EXPECT_EQ((*live)->who.grant->size(), 2u);
  EXPECT_FALSE((*sessions_->Check(longest->token))->who.grant);
}

TEST_F(UsesTest, LimitsThatCannotBeReadAreNotNone) {
  const auto opened = Open({.scope = "tool=a"});
  ASSERT_TRUE(opened);
  ASSERT_TRUE(writer_->CommitBlocking([](state::Database& db) -> Result<> {
    SALLYPORT_TRY(auto s, db.Use("UPDATE session SET data = replace(data, 'tool=a', 'tol=a')"));
    return s.Run();
  }));
  Stop();
  Start();
  EXPECT_EQ(sessions_->Check(opened->token).error().code, Errc::session_ended);
}

}  // namespace
}  // namespace sallyport::access
