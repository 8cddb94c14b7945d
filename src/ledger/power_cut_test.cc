#include <fcntl.h>
#include <gtest/gtest.h>
#include <set>
#include <string>

#include "ledger/file.h"
#include "ledger/power_cut_for_tests.h"
#include "ledger/scratch_for_tests.h"

namespace sallyport::ledger {
namespace {

std::string Read(const DiskTree& tree, const std::string& path) {
  const int node = tree.Find(path);
  return node < 0 ? "none" : tree.nodes[size_t(node)].bytes;
}

/// All that a file may hold after a cut behind the last operation; "none" where it is not there.
std::set<std::string> Possible(const DiskRecord& record, const std::string& path) {
  std::mt19937_64 random(7);
  std::set<std::string> found;
  PowerCut cut(record);
  while (cut.Advance()) {
  }
  for (int i = 0; i < 300; ++i) {
    for (const auto left :
         {PowerCut::Left::nothing, PowerCut::Left::journal, PowerCut::Left::anything})
      found.insert(Read(cut.After(left, random), path));
  }
  return found;
}

DiskRecord Recorded(const Scratch& dir,
                    const std::function<void(const std::filesystem::path&)>& work) {
  const auto root = dir.path() / "disk";
  std::filesystem::create_directories(root);
  RecordedDisk disk(root, {}, "boot");
  const DiskInPlace in_place(disk);
  work(root);
  return disk.record();
}

TEST(PowerCut, WhatWasNotSyncedMayBeLostInPart) {
  const Scratch dir;
  const auto record = Recorded(dir, [](const auto& root) {
    ASSERT_TRUE(WriteFile(root / "f", std::string(512, 'a') + std::string(512, 'b')));
    ASSERT_TRUE(SyncPath(root));
  });
  const auto possible = Possible(record, "f");
  EXPECT_TRUE(possible.contains(std::string(512, 'a') + std::string(512, 'b')));
  EXPECT_TRUE(possible.contains(""));
  EXPECT_TRUE(possible.contains(std::string(512, '\0') + std::string(512, 'b')));
  EXPECT_TRUE(possible.contains(std::string(512, 'a') + std::string(512, '\0')));
  EXPECT_FALSE(possible.contains("none"));
  for (const auto& bytes : possible) {
    for (size_t i = 0; i < bytes.size(); ++i)
      EXPECT_EQ(bytes[i], bytes[i / 512 * 512]) << "a sector is whole";
  }
}

TEST(PowerCut, WhatWasSyncedIsThere) {
  const Scratch dir;
  const auto record = Recorded(dir, [](const auto& root) {
    ASSERT_TRUE(ReplaceFile(root / "f", "old"));
    ASSERT_TRUE(SyncPath(root));
    ASSERT_TRUE(ReplaceFile(root / "f", "new"));
  });
  EXPECT_EQ(Possible(record, "f"), (std::set<std::string>{"old", "new"}));
}

TEST(PowerCut, ANameIsOnlyKeptBySyncingItsDirectory) {
  const Scratch dir;
  const auto record = Recorded(dir, [](const auto& root) {
    ASSERT_TRUE(ReplaceFile(root / "f", "x"));
    ASSERT_TRUE(SyncPath(root / "f"));
  });
  EXPECT_EQ(Possible(record, "f"), (std::set<std::string>{"none", "x"}));
}

TEST(PowerCut, LaterNamesNeedTheEarlierOnesOfTheSamePlace) {
  const Scratch dir;
  const auto record = Recorded(dir, [](const auto& root) {
    ASSERT_TRUE(ReplaceFile(root / "a", "1"));
    ASSERT_TRUE(SyncPath(root));
    ASSERT_TRUE(RenameFile(root / "a", root / "b"));
    ASSERT_TRUE(RenameFile(root / "b", root / "c"));
    ASSERT_TRUE(RemoveFile(root / "c"));
  });
  std::mt19937_64 random(1);
  PowerCut cut(record);
  while (cut.Advance()) {
  }
  for (int i = 0; i < 100; ++i) {
    const DiskTree tree = cut.After(PowerCut::Left::anything, random);
    EXPECT_LE(tree.nodes[0].entries.size(), 1u) << "one file has one name";
  }
}

/// The record is what happened: without a crash it gives what is there.
TEST(PowerCut, NothingIsLostByTheDeathOfTheProcess) {
  const Scratch dir;
  const auto record = Recorded(dir, [](const auto& root) {
    auto ledger = Ledger::Open(TestOptions(root / "data"));
    ASSERT_TRUE(ledger);
    for (int i = 0; i < 300; ++i) ASSERT_TRUE((*ledger)->Append("entry " + std::to_string(i)));
    ASSERT_TRUE((*ledger)->Close());
  });
  std::mt19937_64 random(1);
  PowerCut cut(record);
  while (cut.Advance()) {
  }
  const DiskTree tree = cut.After(PowerCut::Left::all, random);
  size_t files = 0;
  for (const auto& file : std::filesystem::recursive_directory_iterator(dir.path() / "disk")) {
    const auto name = file.path().lexically_relative(dir.path() / "disk").string();
    if (name == "data/lock") continue;
    EXPECT_GE(tree.Find(name), 0) << name;
    if (!file.is_regular_file()) continue;
    EXPECT_EQ(Read(tree, name), dir.ReadText("disk/" + name)) << name;
    ++files;
  }
  EXPECT_GT(files, 8u);
}

}  // namespace
}  // namespace sallyport::ledger
