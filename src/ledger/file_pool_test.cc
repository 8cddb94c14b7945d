#include "ledger/file_pool.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "base/descriptor.h"
#include "ledger/file.h"
#include "ledger/scratch_for_tests.h"

namespace sallyport::ledger {
namespace {

ino_t Inode(const std::filesystem::path& path) {
  struct stat st{};
  EXPECT_EQ(::stat(path.c_str(), &st), 0) << path;
  return st.st_ino;
}

TEST(FilePool, WhatWasReplacedBecomesTheNextFile) {
  const Scratch dir;
  FilePool pool(dir.path() / "spare", std::chrono::milliseconds(0));
  const auto note = dir.path() / "note", other = dir.path() / "other";
  ASSERT_TRUE(pool.Replace(note, "a rather long first note"));
  const ino_t first = Inode(note);
  ASSERT_TRUE(pool.Replace(note, "second"));
  EXPECT_EQ(*ReadFile(note), "second");
  ASSERT_TRUE(pool.Write(other, "short"));
  EXPECT_EQ(*ReadFile(other), "short");  // nothing of what the file was is left
  EXPECT_EQ(Inode(other), first);
}

TEST(FilePool, WhoHasAFileOpenStillReadsIt) {
  const Scratch dir;
  FilePool pool(dir.path() / "spare");
  const auto note = dir.path() / "note";
  ASSERT_TRUE(pool.Replace(note, "first"));
  const Descriptor open(::open(note.c_str(), O_RDONLY | O_CLOEXEC));
  for (int i = 0; i < 10; ++i) ASSERT_TRUE(pool.Replace(note, "later"));
  std::string bytes(16, '\0');
  bytes.resize(ReadUpTo(open, bytes).value());
  EXPECT_EQ(bytes, "first");
}

TEST(FilePool, DirectoriesAreEmptiedAndUsedAgain) {
  const Scratch dir;
  FilePool pool(dir.path() / "spare", std::chrono::milliseconds(0));
  const auto a = dir.path() / "a.p", b = dir.path() / "b.p";
  ASSERT_TRUE(pool.MakeDirectory(a));
  ASSERT_TRUE(pool.Write(a / "1", "one"));
  const ino_t directory = Inode(a), file = Inode(a / "1");
  pool.TakeDirectory(a);
  pool.TakeDirectory(a);  // not there any more: nothing to do
  EXPECT_FALSE(std::filesystem::exists(a));
  ASSERT_TRUE(pool.MakeDirectory(b));
  EXPECT_EQ(Inode(b), directory);
  EXPECT_TRUE(std::filesystem::is_empty(b));
  ASSERT_TRUE(pool.Write(b / "2", "twice"));
  EXPECT_EQ(Inode(b / "2"), file);
}

TEST(FilePool, LeavesNothingBehind) {
  const Scratch dir;
  {
    FilePool pool(dir.path() / "spare");
    ASSERT_TRUE(pool.Replace(dir.path() / "note", "1"));
    ASSERT_TRUE(pool.Replace(dir.path() / "note", "2"));
    EXPECT_TRUE(std::filesystem::exists(dir.path() / "spare"));
  }
  EXPECT_FALSE(std::filesystem::exists(dir.path() / "spare"));
  std::filesystem::create_directories(dir.path() / "spare" / "7");  // as after kill -9
  FilePool pool(dir.path() / "spare");
  EXPECT_FALSE(std::filesystem::exists(dir.path() / "spare"));
}

}  // namespace
}  // namespace sallyport::ledger
