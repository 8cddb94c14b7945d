#include "state/database.h"

#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <sqlite3.h>
#include <sys/stat.h>

namespace sallyport::state {
namespace {

class DatabaseTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = (std::filesystem::temp_directory_path() / "state-test-XXXXXX").string();
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    dir_ = name;
    file_ = dir_ / "state" / "state.db";
  }
  void TearDown() override { std::filesystem::remove_all(dir_); }

  std::filesystem::path dir_, file_;
};

constexpr const char* kSteps[] = {
    "CREATE TABLE note (id INTEGER PRIMARY KEY, text TEXT) STRICT",
    "ALTER TABLE note ADD COLUMN body BLOB",
};

TEST_F(DatabaseTest, KeepsWhatWasWrittenAndIsPrivate) {
  {
    auto db = Database::Open(file_);
    ASSERT_TRUE(db) << db.error().detail;
    ASSERT_TRUE((*db)->Migrate("notes", std::span(kSteps).first(1)));
    auto put = (*db)->Use("INSERT INTO note (text) VALUES (?1)");
    ASSERT_TRUE(put);
    EXPECT_TRUE(put->Bind("zwölf").Run());
  }
  auto db = Database::Open(file_);
  ASSERT_TRUE(db) << db.error().detail;
  ASSERT_TRUE((*db)->Migrate("notes", kSteps));  // the second step only
  ASSERT_TRUE((*db)->Migrate("notes", kSteps));
  auto get = (*db)->Use("SELECT text, body FROM note");
  ASSERT_TRUE(get);
  ASSERT_TRUE(*get->Step());
  EXPECT_EQ(get->Text(0), "zwölf");
  EXPECT_TRUE(get->IsNull(1));
  EXPECT_FALSE(*get->Step());
  struct stat info{};
  ASSERT_EQ(::stat(file_.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
  ASSERT_EQ(::stat((dir_ / "state").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0700u);
}

TEST_F(DatabaseTest, RefusesTablesOfANewerVersion) {
  auto db = Database::Open(file_);
  ASSERT_TRUE(db);
  ASSERT_TRUE((*db)->Migrate("notes", kSteps));
  const auto older = (*db)->Migrate("notes", std::span(kSteps).first(1));
  ASSERT_FALSE(older);
  EXPECT_EQ(older.error().code, Errc::state_unavailable);
}

TEST_F(DatabaseTest, AFailedStepLeavesNothingBehind) {
  auto db = Database::Open(file_);
  ASSERT_TRUE(db);
  constexpr const char* kBad[] = {"CREATE TABLE half (id INTEGER) STRICT; CREATE TABLE half (x)"};
  EXPECT_FALSE((*db)->Migrate("notes", kBad));
  EXPECT_FALSE((*db)->in_transaction());
  EXPECT_TRUE((*db)->Migrate("notes", kSteps));
  EXPECT_FALSE((*db)->Use("SELECT * FROM half"));
}

TEST_F(DatabaseTest, NoDatabaseIsNotOverwritten) {
  std::filesystem::create_directories(file_.parent_path());
  std::ofstream(file_) << std::string(5000, 'x');
  const auto db = Database::Open(file_);
  ASSERT_FALSE(db);
  EXPECT_EQ(db.error().code, Errc::state_unavailable);
  EXPECT_NE(db.error().detail.find("state.db"), std::string::npos);
  EXPECT_EQ(std::filesystem::file_size(file_), 5000u);
}

TEST_F(DatabaseTest, DamageInTheMiddleIsFoundAtOpen) {
  {
    auto db = Database::Open(file_);
    ASSERT_TRUE(db);
    ASSERT_TRUE((*db)->Migrate("notes", kSteps));
    for (int i = 0; i < 200; ++i) {
      auto put = (*db)->Use("INSERT INTO note (text) VALUES (?1)");
      ASSERT_TRUE(put && put->Bind(std::string(400, 'a')).Run());
    }
  }  // the last to close moves everything out of the write-ahead log
  const auto size = std::filesystem::file_size(file_);
  ASSERT_GT(size, 40'000u);
  std::fstream file(file_, std::ios::in | std::ios::out | std::ios::binary);
  for (std::streamoff page = 3; page < 6; ++page) {
    file.seekp(page * 4096);
    file << std::string(64, '\xff');
  }
  file.close();
  const auto db = Database::Open(file_);
  ASSERT_FALSE(db);
  EXPECT_EQ(db.error().code, Errc::state_unavailable);
}

TEST_F(DatabaseTest, ALockOfAnotherIsWaitedForAndThenRefused) {
  auto db = Database::Open(file_, {.busy = std::chrono::milliseconds(50)});
  ASSERT_TRUE(db);
  ASSERT_TRUE((*db)->Migrate("notes", kSteps));
  sqlite3* other = nullptr;
  ASSERT_EQ(sqlite3_open(file_.c_str(), &other), SQLITE_OK);
  ASSERT_EQ(sqlite3_exec(other, "BEGIN IMMEDIATE", nullptr, nullptr, nullptr), SQLITE_OK);
  const auto refused = (*db)->Execute("INSERT INTO note (text) VALUES ('x')");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::state_unavailable);
  EXPECT_EQ(sqlite3_exec(other, "COMMIT", nullptr, nullptr, nullptr), SQLITE_OK);
  EXPECT_TRUE((*db)->Execute("INSERT INTO note (text) VALUES ('x')"));
  sqlite3_close(other);
}

}  // namespace
}  // namespace sallyport::state
