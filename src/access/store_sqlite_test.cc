#include "access/store_sqlite.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>

#include "access/sessions.h"

namespace sallyport::access {
namespace {

namespace fs = std::filesystem;

class StoreTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = (fs::temp_directory_path() / "access-test-XXXXXX").string();
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
    if (database) {
      if (const auto prepared = PrepareState(**database); !prepared)
        database = std::unexpected(prepared.error());
    }
    writer_ = std::make_unique<state::Writer>(std::move(database));
    sessions_ = Sessions::Make({}, MakeSqliteStore(*writer_), SystemClock());
  }
  void Stop() {
    sessions_.reset();
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
  op::Principal Ana() {
    op::Principal who;
    who.issuer = "https://idp.example";
    who.subject = "user-ana";
    who.name = "Ana \"A\" \xc3\xa4";
    who.groups = {"analysts", "staff"};
    who.groups_complete = false;
    who.provider = "corp";
    who.client_id = "sallyport";
    who.sid = "sid-1";
    return who;
  }
  Result<Opened> Open() {
    return Await(sessions_->Open({.who = Ana(),
                                  .kind = "cli",
                                  .reason = "ticket 7",
                                  .scope = "tool=get_*",
                                  .client = "laptop",
                                  .authenticated_at = SystemClock().WallNow()}));
  }

  fs::path dir_;
  std::unique_ptr<state::Writer> writer_;
  std::unique_ptr<Sessions> sessions_;
};

TEST_F(StoreTest, EverythingIsThereAfterARestart) {
  const auto one = Open(), two = Open();
  ASSERT_TRUE(one) << one.error().detail;
  ASSERT_TRUE(Await(sessions_->Revoke({.session = two->id}, "ana", "done")));
  const LivePtr before = *sessions_->Check(one->token);
  Stop();
  Start();
  const auto after = sessions_->Check(one->token);
  ASSERT_TRUE(after) << after.error().detail;
  const Live &a = *before, &b = **after;
  EXPECT_EQ(a.id, b.id);
  EXPECT_EQ(a.who.issuer, b.who.issuer);
  EXPECT_EQ(a.who.subject, b.who.subject);
  EXPECT_EQ(a.who.name, b.who.name);
  EXPECT_EQ(a.who.groups, b.who.groups);
  EXPECT_EQ(a.who.groups_complete, b.who.groups_complete);
  EXPECT_EQ(a.who.provider, b.who.provider);
  EXPECT_EQ(a.who.client_id, b.who.client_id);
  EXPECT_EQ(a.who.sid, b.who.sid);
  EXPECT_EQ(a.who.session, b.who.session);
  EXPECT_EQ(a.who.token_class, b.who.token_class);
  EXPECT_EQ(a.who.expires_at, b.who.expires_at);
  EXPECT_EQ(a.kind, b.kind);
  EXPECT_EQ(a.reason, b.reason);
  EXPECT_EQ(a.scope, b.scope);
  EXPECT_EQ(a.client, b.client);
  EXPECT_EQ(a.opened_at, b.opened_at);
  EXPECT_EQ(a.authenticated_at, b.authenticated_at);
  EXPECT_EQ(sessions_->Check(two->token).error().code, Errc::session_ended);
  ASSERT_TRUE(Await(sessions_->Unlock(one->id, Ana(), SystemClock().WallNow())));
  const Nanos now = SystemClock().WallNow();
  ASSERT_TRUE(Await(
      sessions_->Revoke({.issuer = "https://idp.example", .subject = "user-ana"}, "adam", "left")));
  Stop();
  Start();
  EXPECT_EQ(sessions_->Check(one->token).error().code, Errc::session_ended);
  EXPECT_TRUE(sessions_->Revoked(Ana(), now));
}

TEST_F(StoreTest, NoTokenStandsInTheFile) {
  const auto opened = Open();
  ASSERT_TRUE(opened);
  Stop();
  std::string bytes;
  for (const auto& file : fs::directory_iterator(dir_)) {
    std::ifstream in(file.path(), std::ios::binary);
    bytes.append(std::istreambuf_iterator<char>(in), {});
  }
  EXPECT_NE(bytes.find("ticket 7"), std::string::npos);
  EXPECT_EQ(bytes.find(opened->token.substr(4, 20)), std::string::npos);
  EXPECT_EQ(bytes.find("sps_"), std::string::npos);
}

TEST_F(StoreTest, WhatCannotBeReadRevokesWhatWasIssuedBefore) {
  const auto opened = Open();
  ASSERT_TRUE(opened);
  const Nanos before = SystemClock().WallNow();
  Stop();
  {
    std::ofstream out(dir_ / "state.db", std::ios::binary | std::ios::in);
    out.seekp(0);
    out << std::string(4096, 'x');
  }
  Start();
  EXPECT_FALSE(sessions_->failure().empty());
  EXPECT_EQ(sessions_->Check(opened->token).error().code, Errc::session_unknown);
  EXPECT_TRUE(sessions_->Revoked(Ana(), before));
  EXPECT_FALSE(sessions_->Revoked(Ana(), SystemClock().WallNow()));
  const auto more = Open();
  ASSERT_FALSE(more);
  EXPECT_EQ(more.error().code, Errc::state_unavailable);
}

}  // namespace
}  // namespace sallyport::access
