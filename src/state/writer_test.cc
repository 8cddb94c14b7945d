#include "state/writer.h"

#include <atomic>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <sqlite3.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

namespace sallyport::state {
namespace {

using std::chrono::milliseconds;

constexpr const char* kSteps[] = {
    "CREATE TABLE note (id INTEGER PRIMARY KEY, text TEXT UNIQUE) STRICT"};

Writer::Work Put(std::string text) {
  return [text = std::move(text)](Database& db) -> Result<> {
    SALLYPORT_TRY(Statement put, db.Use("INSERT INTO note (text) VALUES (?1)"));
    return put.Bind(text).Run();
  };
}

class WriterTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = (std::filesystem::temp_directory_path() / "writer-test-XXXXXX").string();
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    dir_ = name;
    file_ = dir_ / "state.db";
  }
  void TearDown() override { std::filesystem::remove_all(dir_); }

  std::unique_ptr<Writer> Open(Database::Options options = {}) {
    return std::make_unique<Writer>(Database::Open(file_, options));
  }
  /// Migrate brings its own transaction; here it is done before there is a Writer.
  void Make() {
    auto db = Database::Open(file_);
    ASSERT_TRUE(db && (*db)->Migrate("t", kSteps));
  }
  static int64_t Count(Writer& writer) {
    int64_t n = -1;
    EXPECT_TRUE(writer.CommitBlocking([&](Database& db) -> Result<> {
      SALLYPORT_TRY(Statement count, db.Use("SELECT count(*) FROM note"));
      SALLYPORT_CHECK(count.Step());
      n = count.Integer(0);
      return {};
    }));
    return n;
  }
  static bool Eventually(const std::function<bool()>& holds) {
    for (int i = 0; i < 500; ++i) {
      if (holds()) return true;
      std::this_thread::sleep_for(milliseconds(10));
    }
    return false;
  }

  std::filesystem::path dir_, file_;
};

TEST_F(WriterTest, CommitsOfManyCoroutinesComeBackToTheirs) {
  Make();
  auto writer = Open();
  boost::asio::io_context io(1);
  const auto home = std::this_thread::get_id();
  int good = 0;
  for (int i = 0; i < 1000; ++i) {
    boost::asio::co_spawn(
        io,
        [&, i]() -> boost::asio::awaitable<void> {
          const Result<> done = co_await writer->Commit(Put(std::to_string(i)));
          EXPECT_EQ(std::this_thread::get_id(), home);
          good += done ? 1 : 0;
        },
        boost::asio::detached);
  }
  io.run();
  EXPECT_EQ(good, 1000);
  EXPECT_EQ(Count(*writer), 1000);
}

TEST_F(WriterTest, WhatFailsIsUndoneAloneAndSaysWhy) {
  Make();
  auto writer = Open();
  ASSERT_TRUE(writer->CommitBlocking(Put("a")));
  const Result<> own = writer->CommitBlocking([](Database& db) -> Result<> {
    SALLYPORT_CHECK(db.Execute("INSERT INTO note (text) VALUES ('half')"));
    return Fail(Errc::approval_closed, "own reason");
  });
  EXPECT_EQ(own.error().code, Errc::approval_closed);
  const Result<> thrown = writer->CommitBlocking([](Database& db) -> Result<> {
    (void)db.Execute("INSERT INTO note (text) VALUES ('thrown')");
    throw std::runtime_error("x");
  });
  EXPECT_EQ(thrown.error().code, Errc::internal);
  EXPECT_EQ(Count(*writer), 1);
  EXPECT_TRUE(writer->healthy());
}

TEST_F(WriterTest, AFullDiskRefusesAndComesBack) {
  Make();
  auto writer = Open({.max_pages = 12});
  Result<> full = {};
  int written = 0;
  for (; full && written < 1000; ++written)
    full = writer->CommitBlocking(Put(std::to_string(written) + std::string(900, 'x')));
  ASSERT_FALSE(full);
  EXPECT_EQ(full.error().code, Errc::state_unavailable);
  EXPECT_FALSE(writer->healthy());
  EXPECT_NE(writer->failure(), "");
  EXPECT_EQ(Count(*writer), written - 1);  // reading goes on
  ASSERT_TRUE(writer->CommitBlocking([](Database& db) { return db.Execute("DELETE FROM note"); }));
  EXPECT_TRUE(writer->CommitBlocking(Put("again")));
  EXPECT_TRUE(writer->healthy());
}

TEST_F(WriterTest, ALockOfAnotherRefusesWhoWaitsAndDelaysTheOthers) {
  Make();
  auto writer = Open({.busy = milliseconds(20)});
  sqlite3* other = nullptr;
  ASSERT_EQ(sqlite3_open(file_.c_str(), &other), SQLITE_OK);
  ASSERT_EQ(sqlite3_exec(other, "BEGIN IMMEDIATE", nullptr, nullptr, nullptr), SQLITE_OK);
  EXPECT_EQ(writer->CommitBlocking(Put("waits")).error().code, Errc::state_unavailable);
  EXPECT_FALSE(writer->healthy());
  EXPECT_TRUE(writer->Enqueue(Put("later")));
  std::this_thread::sleep_for(milliseconds(100));
  EXPECT_FALSE(writer->healthy());
  ASSERT_EQ(sqlite3_exec(other, "COMMIT", nullptr, nullptr, nullptr), SQLITE_OK);
  sqlite3_close(other);
  EXPECT_TRUE(Eventually([&] { return writer->healthy(); }));  // without anybody asking
  EXPECT_TRUE(Eventually([&] { return Count(*writer) == 1; }));
}

TEST_F(WriterTest, HealthComesBackByItself) {
  Make();
  auto writer = Open({.busy = milliseconds(20)});
  sqlite3* other = nullptr;
  ASSERT_EQ(sqlite3_open(file_.c_str(), &other), SQLITE_OK);
  ASSERT_EQ(sqlite3_exec(other, "BEGIN IMMEDIATE", nullptr, nullptr, nullptr), SQLITE_OK);
  EXPECT_FALSE(writer->CommitBlocking(Put("waits")));
  sqlite3_close(other);
  EXPECT_TRUE(Eventually([&] { return writer->healthy(); }));
}

TEST_F(WriterTest, ADamagedFileRefusesEverythingAndHarmsNobody) {
  std::ofstream(file_) << std::string(9000, 'x');
  auto writer = Open();
  EXPECT_FALSE(writer->healthy());
  EXPECT_NE(writer->failure().find("state.db"), std::string::npos);
  EXPECT_EQ(writer->CommitBlocking(Put("a")).error().code, Errc::state_unavailable);
  EXPECT_TRUE(writer->Enqueue(Put("b")));
  writer->Close();
  EXPECT_EQ(writer->CommitBlocking(Put("a")).error().code, Errc::state_unavailable);
  EXPECT_FALSE(writer->Enqueue(Put("b")));
}

TEST_F(WriterTest, WhatWasCommittedSurvivesTheDeathOfTheProcess) {
  Make();
  int pipe_ends[2];
  ASSERT_EQ(pipe(pipe_ends), 0);
  const pid_t child = fork();
  if (child == 0) {
    auto writer = Open();
    for (int i = 0; i < 20; ++i) {
      if (!writer->CommitBlocking(Put("c" + std::to_string(i)))) _exit(1);
      if (write(pipe_ends[1], "x", 1) != 1) _exit(1);
    }
    _exit(0);  // no destructor runs: as if killed
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  ASSERT_EQ(status, 0);
  auto writer = Open();
  EXPECT_EQ(Count(*writer), 20);
}

TEST_F(WriterTest, CloseDoesWhatIsQueued) {
  Make();
  {
    auto writer = Open();
    for (int i = 0; i < 600; ++i) EXPECT_TRUE(writer->Enqueue(Put(std::to_string(i))));
  }
  auto writer = Open();
  EXPECT_EQ(Count(*writer), 600);
}

}  // namespace
}  // namespace sallyport::state
