#include "ledger/writer.h"

#include <atomic>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <fstream>
#include <gtest/gtest.h>
#include <set>
#include <thread>

#include "ledger/reader.h"
#include "ledger/scratch_for_tests.h"
#include "ledger/wal.h"

namespace sallyport::ledger {
namespace {

std::string EntryText(uint64_t i) { return "entry " + std::to_string(i); }

uint64_t Append(Ledger& ledger, uint64_t n) {
  uint64_t last = 0;
  for (uint64_t i = 0; i < n; ++i) {
    const auto index = ledger.Append(EntryText(ledger.stats().size));
    EXPECT_TRUE(index) << index.error().detail;
    last = index.value_or(0);
  }
  return last;
}

void ExpectEntries(const std::filesystem::path& dir, uint64_t n) {
  auto reader = LogReader::Open(dir);
  ASSERT_TRUE(reader) << reader.error().detail;
  ASSERT_EQ(reader->size(), n);
  const auto visited =
      reader->ForEach(0, n, [](uint64_t i, std::string_view entry) -> Result<bool> {
        EXPECT_EQ(entry, EntryText(i));
        return true;
      });
  EXPECT_TRUE(visited) << visited.error().detail;
}

TEST(Ledger, GivesIndexesInOrderAndReadsThemBack) {
  const Scratch dir;
  auto ledger = Ledger::Open(TestOptions(dir));
  ASSERT_TRUE(ledger) << ledger.error().detail;
  EXPECT_TRUE((*ledger)->recovery().created);
  EXPECT_EQ(Append(**ledger, 300), 299u);
  EXPECT_EQ(*(*ledger)->AppendStrictBlocking(EntryText(300)), 300u);
  EXPECT_GE((*ledger)->stats().durable, 301u);
  ExpectEntries(dir.path(), 301);  // while it is open
  ASSERT_TRUE((*ledger)->Close());
  EXPECT_EQ((*ledger)->Append("late").error().code, Errc::ledger_unavailable);
  ExpectEntries(dir.path(), 301);
}

/// Stands for a store of recordings.
class Payloads final : public PayloadStore {
 public:
  Result<> Keep(op::Evidence&, const op::Session&) override { return {}; }
  Result<> Sync() override {
    ++syncs;
    return fails ? Fail(Errc::recording_unavailable, "the disk of the recordings is gone")
                 : Result<>();
  }
  void Forget(const op::Session&) override {}
  std::string failure() const override { return {}; }
  std::atomic<int> syncs = 0;
  std::atomic<bool> fails = false;
};

TEST(Ledger, NoEntryIsDurableBeforeWhatItNames) {
  const Scratch dir;
  Payloads payloads;
  Options options = TestOptions(dir);
  options.payloads = &payloads;
  auto ledger = Ledger::Open(std::move(options));
  ASSERT_TRUE(ledger) << ledger.error().detail;
  ASSERT_TRUE((*ledger)->AppendStrictBlocking(EntryText(0)));
  EXPECT_GT(payloads.syncs, 0);
  payloads.fails = true;
  EXPECT_FALSE((*ledger)->AppendStrictBlocking(EntryText(1)));
  EXPECT_FALSE((*ledger)->healthy());
  EXPECT_NE((*ledger)->stats().failure.find("the disk of the recordings"), std::string::npos);
  EXPECT_EQ((*ledger)->stats().durable, 1u);
  EXPECT_FALSE((*ledger)->Append(EntryText(2)));
}

TEST(Ledger, GoesOnWhereItEnded) {
  const Scratch dir;
  uint64_t size = 0;
  for (uint64_t n : {0u, 1u, 254u, 1u, 1u, 255u, 700u, 0u, 3u}) {
    auto ledger = Ledger::Open(TestOptions(dir));
    ASSERT_TRUE(ledger) << ledger.error().detail;
    EXPECT_EQ((*ledger)->stats().size, size);
    if (n > 0) Append(**ledger, n);
    size += n;
    ASSERT_TRUE((*ledger)->Close());
    ExpectEntries(dir.path(), size);
  }
}

TEST(Ledger, PublishesWithinTheInterval) {
  const Scratch dir;
  auto ledger = Ledger::Open(TestOptions(dir));
  ASSERT_TRUE(ledger);
  Append(**ledger, 10);
  for (int i = 0; i < 200 && (*ledger)->stats().published < 10; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  EXPECT_EQ((*ledger)->stats().published, 10u);
  EXPECT_EQ(PeekCheckpoint(dir.ReadText("log/checkpoint"))->size, 10u);
}

TEST(Ledger, ConfiguredStrictThePublishedCheckpointCoversWhatWasAnswered) {
  const Scratch dir;
  Options options = TestOptions(dir);
  options.durability = Durability::strict;
  options.checkpoint_interval =
      std::chrono::seconds(20);  // nothing but the appends themselves publishes
  auto ledger = Ledger::Open(std::move(options));
  ASSERT_TRUE(ledger);
  for (uint64_t i = 0; i < 300; ++i) {
    ASSERT_EQ((*ledger)->AppendStrictBlocking(EntryText(i)).value_or(999), i);
    ASSERT_GT(PeekCheckpoint(dir.ReadText("log/checkpoint"))->size, i);
  }
}

TEST(Ledger, SmallSegmentsRotateAndAreRetired) {
  const Scratch dir;
  Options options = TestOptions(dir);
  options.segment_bytes = 128 << 10;
  auto ledger = Ledger::Open(std::move(options));
  ASSERT_TRUE(ledger) << ledger.error().detail;
  const std::string entry(3000, 'x');
  bool reused = false;
  const std::filesystem::path retired = dir.path() / "wal" / kRetiredName;
  for (int i = 0; i < 2000; ++i) {  // 6 MB through files of 128 KiB
    ASSERT_TRUE((*ledger)->Append(entry));
    if (i % 100 == 0) ASSERT_TRUE((*ledger)->AppendStrictBlocking(entry));
    reused |= std::filesystem::exists(retired);
  }
  EXPECT_TRUE(reused);
  const uint64_t size = (*ledger)->stats().size;
  ASSERT_TRUE((*ledger)->Close());
  size_t segments = 0;
  for (const auto& file : std::filesystem::directory_iterator(dir.path() / "wal")) {
    segments += file.path().extension() == ".wal";
  }
  EXPECT_LT(segments, 20u);
  EXPECT_FALSE(std::filesystem::exists(retired));
  dir.WriteText("wal/retired", "left over by a kill");
  auto again = Ledger::Open(TestOptions(dir));
  ASSERT_TRUE(again) << again.error().detail;
  EXPECT_EQ((*again)->stats().size, size);
  EXPECT_FALSE(std::filesystem::exists(retired));
}

TEST(Ledger, ThreadsGetDistinctIndexes) {
  const Scratch dir;
  auto ledger = Ledger::Open(TestOptions(dir));
  ASSERT_TRUE(ledger);
  std::vector<std::vector<uint64_t>> seen(4);
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 200; ++i) {
        const std::string entry = "t" + std::to_string(t) + " " + std::to_string(i);
        const auto index =
            i % 10 == 0 ? (*ledger)->AppendStrictBlocking(entry) : (*ledger)->Append(entry);
        if (index) seen[size_t(t)].push_back(*index);
      }
    });
  }
  for (auto& t : threads) t.join();
  ASSERT_TRUE((*ledger)->Close());
  std::set<uint64_t> all;
  auto reader = LogReader::Open(dir.path());
  ASSERT_TRUE(reader);
  for (size_t t = 0; t < 4; ++t) {
    ASSERT_EQ(seen[t].size(), 200u);
    for (size_t i = 0; i < 200; ++i) {
      EXPECT_TRUE(all.insert(seen[t][i]).second);
      EXPECT_EQ(*reader->Read(seen[t][i]), "t" + std::to_string(t) + " " + std::to_string(i));
    }
  }
}

Task<> AppendOnShard(Ledger& ledger, std::thread::id shard, uint64_t& index) {
  SALLYPORT_CO_TRY(index, co_await ledger.AppendStrict("from a coroutine"));
  EXPECT_EQ(std::this_thread::get_id(), shard);
  EXPECT_GT(ledger.stats().durable, index);
  co_return Result<>{};
}

TEST(Ledger, StrictResumesOnTheCallersExecutor) {
  const Scratch dir;
  auto ledger = Ledger::Open(TestOptions(dir));
  ASSERT_TRUE(ledger);
  boost::asio::io_context context{1};
  uint64_t index = 99;
  boost::asio::co_spawn(context, AppendOnShard(**ledger, std::this_thread::get_id(), index),
                        [](std::exception_ptr e, const Result<>& r) {
                          EXPECT_FALSE(e);
                          EXPECT_TRUE(r);
                        });
  context.run();
  EXPECT_EQ(index, 0u);
}

Task<> AppendSoon(Ledger& ledger, std::string entry, std::vector<std::string>& answers) {
  const auto index = co_await ledger.AppendSoon(std::move(entry));
  answers.push_back(index ? std::to_string(*index) : index.error().detail);
  co_return Result<>{};
}

TEST(Ledger, WhatOneTurnAppendsIsWrittenTogetherAndEachGetsItsOwnIndex) {
  const Scratch dir;
  Options options = TestOptions(dir);
  options.segment_bytes = 160 << 10;  // a turn that spans files
  auto ledger = Ledger::Open(std::move(options));
  ASSERT_TRUE(ledger);
  boost::asio::io_context context{1};
  std::vector<std::string> answers, expected;
  for (int i = 0; i < 600; ++i) {
    const std::string entry = i == 300 ? std::string(kMaxEntryBytes + 1, 'x')
                                       : "soon " + std::to_string(i) + std::string(900, '.');
    boost::asio::co_spawn(context, AppendSoon(**ledger, entry, answers), boost::asio::detached);
    expected.push_back(i == 300 ? "the entry is longer than 60,000 bytes"
                                : std::to_string(i - (i > 300)));
  }
  EXPECT_EQ((*ledger)->stats().size, 0u);
  context.run();
  EXPECT_EQ(answers, expected);
  ASSERT_TRUE((*ledger)->Close());
  auto reader = LogReader::Open(dir.path());
  ASSERT_TRUE(reader);
  ASSERT_EQ(reader->size(), 599u);
  for (uint64_t i = 0; i < 599; ++i) {
    const std::string begin = "soon " + std::to_string(i + (i >= 300)) + ".";
    EXPECT_EQ(reader->Read(i)->substr(0, begin.size()), begin);
  }
}

TEST(Ledger, WhatWaitsForATurnOutlivesTheLedger) {
  const Scratch dir;
  auto ledger = Ledger::Open(TestOptions(dir));
  ASSERT_TRUE(ledger);
  std::vector<std::string> answers;
  {
    boost::asio::io_context context{1};
    boost::asio::co_spawn(context, AppendSoon(**ledger, "late", answers), boost::asio::detached);
    context.run_one();  // it waits now
    ledger->reset();
    context.run();
    EXPECT_EQ(answers, std::vector<std::string>{"the ledger is closed"});
  }
  ledger = Ledger::Open(TestOptions(dir));
  ASSERT_TRUE(ledger);
  boost::asio::io_context context{1};
  boost::asio::co_spawn(context, AppendSoon(**ledger, "never", answers), boost::asio::detached);
  context.run_one();
  EXPECT_EQ(answers.size(), 1u);  // its loop ends before its turn
}

TEST(Ledger, RefusesWhatItCannotKeep) {
  const Scratch dir;
  Options options = TestOptions(dir);
  options.queue_limit = 8;
  options.checkpoint_interval = std::chrono::seconds(20);
  auto ledger = Ledger::Open(std::move(options));
  ASSERT_TRUE(ledger);
  EXPECT_EQ((*ledger)->Append(std::string(kMaxEntryBytes + 1, 'x')).error().code,
            Errc::ledger_unavailable);
  EXPECT_TRUE((*ledger)->Append(std::string(kMaxEntryBytes, 'x')));
  int refused = 0;
  for (int i = 0; i < 1000; ++i) refused += !(*ledger)->Append("x");
  EXPECT_GT(refused, 0);
  EXPECT_TRUE((*ledger)->healthy());
  EXPECT_EQ((*ledger)->stats().refused, uint64_t(refused) + 1);
}

TEST(Ledger, OneWriterOneKeyOneOrigin) {
  const Scratch dir;
  auto ledger = Ledger::Open(TestOptions(dir));
  ASSERT_TRUE(ledger);
  auto second = Ledger::Open(TestOptions(dir));
  ASSERT_FALSE(second);
  EXPECT_NE(second.error().detail.find("another process is writing the log"), std::string::npos);
  ASSERT_TRUE((*ledger)->Close());
  ledger->reset();
  Options other = TestOptions(dir);
  other.signing_key = Secret(std::string(32, 'z'));
  EXPECT_FALSE(Ledger::Open(std::move(other)));
  other = TestOptions(dir);
  other.origin = "other.example/log";
  EXPECT_FALSE(Ledger::Open(std::move(other)));
  EXPECT_TRUE(Ledger::Open(TestOptions(dir)));
}

TEST(Ledger, FilesAreTheOwnersOnly) {
  const Scratch dir;
  {
    auto ledger = Ledger::Open(TestOptions(dir));
    ASSERT_TRUE(ledger);
    Append(**ledger, 300);
  }
  using std::filesystem::perms;
  for (const auto& file : std::filesystem::recursive_directory_iterator(dir.path())) {
    const perms mode = file.status().permissions();
    EXPECT_EQ(mode & (perms::group_all | perms::others_all), perms::none) << file.path();
  }
}

}  // namespace
}  // namespace sallyport::ledger
