#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <csignal>
#include <fstream>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

#include "ledger/crash_for_tests.h"
#include "ledger/reader.h"
#include "ledger/scratch_for_tests.h"
#include "ledger/verify.h"
#include "ledger/wal.h"

namespace sallyport::ledger {
namespace {

TEST(Crash, NothingAcknowledgedIsLost) {
  const Scratch dir;
  const CrashResult result = RunCrashes(dir.path(), 20, 11);
  EXPECT_EQ(result.failure, "");
  EXPECT_EQ(result.rounds, 20u);
  EXPECT_GT(result.acknowledged, 100u);
}

/// A log whose last entries are only in the write-ahead log, as after a kill: the child never gets
/// to publish.
void WriteUnpublished(const std::filesystem::path& dir, int published, int unpublished) {
  const pid_t child = ::fork();
  if (child == 0) {
    Options options = TestOptions(dir);
    {
      auto ledger = Ledger::Open(std::move(options));
      if (!ledger) _exit(1);
      for (int i = 0; i < published; ++i) (void)(*ledger)->Append("entry " + std::to_string(i));
      if (!(*ledger)->Close()) _exit(2);
    }
    options = TestOptions(dir);
    options.checkpoint_interval = std::chrono::hours(1);
    auto ledger = Ledger::Open(std::move(options));
    if (!ledger) _exit(3);
    for (int i = published; i < published + unpublished; ++i) {
      if (!(*ledger)->Append("entry " + std::to_string(i))) _exit(4);
    }
    _exit(0);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  ASSERT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
}

/// The file that holds the newest entries.
std::filesystem::path NewestSegment(const std::filesystem::path& dir, std::string_view holding) {
  const auto paths = ListSegments(dir / "wal");
  for (const auto& path : *paths) {
    std::ifstream in(path, std::ios::binary);
    const std::string bytes{std::istreambuf_iterator<char>(in), {}};
    if (bytes.find(holding) != std::string::npos) return path;
  }
  return {};
}

/// Flips one bit of the `n`-th byte behind where `text` begins in its segment.
void Damage(const std::filesystem::path& dir, std::string_view text) {
  const std::filesystem::path path = NewestSegment(dir, text);
  ASSERT_FALSE(path.empty());
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  const std::string bytes{std::istreambuf_iterator<char>(file), {}};
  file.clear();
  file.seekp(long(bytes.find(text)));
  file.put(char(text[0] ^ 1));
}

TEST(Recovery, TakesUpTheUnpublishedTail) {
  const Scratch dir;
  WriteUnpublished(dir.path(), 300, 250);
  auto reader = LogReader::Open(dir.path());
  ASSERT_TRUE(reader);
  EXPECT_EQ(reader->checkpoint().size, 300u);
  EXPECT_EQ(reader->size(), 550u);
  EXPECT_EQ(*reader->Read(549), "entry 549");
  const VerifyReport report = VerifyDataDir(dir.path());
  EXPECT_TRUE(report.ok()) << report.Text();
  EXPECT_EQ(report.uncovered, 250u);
  auto ledger = Ledger::Open(TestOptions(dir));
  ASSERT_TRUE(ledger) << ledger.error().detail;
  EXPECT_EQ((*ledger)->stats().published, 550u);
  EXPECT_EQ((*ledger)->recovery().replayed, 250u);
}

TEST(Recovery, DropsATornTail) {
  const Scratch dir;
  WriteUnpublished(dir.path(), 10, 10);
  Damage(dir.path(), "entry 19");
  auto ledger = Ledger::Open(TestOptions(dir));
  ASSERT_TRUE(ledger) << ledger.error().detail;
  EXPECT_EQ((*ledger)->stats().size, 19u);
  EXPECT_GT((*ledger)->recovery().dropped_bytes, 0u);
  EXPECT_EQ(*(*ledger)->Append("again"), 19u);
}

TEST(Recovery, RefusesCorruptionBeforeTheTail) {
  const Scratch dir;
  WriteUnpublished(dir.path(), 10, 10);
  Damage(dir.path(), "entry 14");
  const auto ledger = Ledger::Open(TestOptions(dir));
  ASSERT_FALSE(ledger);
  EXPECT_EQ(ledger.error().code, Errc::ledger_unavailable);
  EXPECT_NE(ledger.error().detail.find("entry 14 is corrupt"), std::string::npos)
      << ledger.error().detail;
  const VerifyReport report = VerifyDataDir(dir.path());
  EXPECT_FALSE(report.ok());
}

TEST(Recovery, RefusesWhenThePublishedCheckpointCoversMore) {
  const Scratch dir;
  WriteUnpublished(dir.path(), 10, 0);
  Damage(dir.path(), "entry 9");
  const auto ledger = Ledger::Open(TestOptions(dir));
  ASSERT_FALSE(ledger);
  EXPECT_NE(ledger.error().detail.find("a signed checkpoint covers"), std::string::npos)
      << ledger.error().detail;
}

/// Makes it look as if the machine had been restarted since the write-ahead log was written.
void Restart(const std::filesystem::path& dir) {
  auto paths = ListSegments(dir / "wal");
  ASSERT_TRUE(paths);
  paths->push_back(dir / "wal" / kReserveName);
  for (const auto& path : *paths) {
    std::ifstream in(path, std::ios::binary);
    std::string bytes{std::istreambuf_iterator<char>(in), {}};
    FrameReader reader(bytes);
    const auto first = reader.Next();
    if (!first) continue;
    std::string payload(first->payload), frame;
    payload.back() = payload.back() == '0' ? '1' : '0';
    AppendFrame(frame, {FrameType::segment, first->index, payload});
    bytes.replace(0, frame.size(), frame);
    std::ofstream(path, std::ios::binary) << bytes;
  }
}

TEST(Recovery, APowerCutMayReorderWhatNoCheckpointCovers) {
  const Scratch dir;
  WriteUnpublished(dir.path(), 10, 10);
  Damage(dir.path(), "entry 14");
  Restart(dir.path());
  auto ledger = Ledger::Open(TestOptions(dir));
  ASSERT_TRUE(ledger) << ledger.error().detail;
  EXPECT_EQ((*ledger)->stats().size, 14u);
  EXPECT_EQ((*ledger)->recovery().dropped_frames, 5u);
}

TEST(Recovery, APowerCutMayEmptyFilesThatWereNotSynced) {
  const Scratch dir;
  WriteUnpublished(dir.path(), 300, 20);
  const std::string vkey = dir.ReadText("log/vkey");
  for (const auto& file : std::filesystem::recursive_directory_iterator(dir.path() / "log")) {
    if (file.is_regular_file() && file.path().filename() != "vkey")
      std::ofstream(file.path(), std::ios::trunc);
  }
  EXPECT_FALSE(Ledger::Open(TestOptions(dir)));  // no crash of a process does this
  Restart(dir.path());
  // Entries below 256 are in synced files, so those are whole.
  const Scratch again;
  WriteUnpublished(again.path(), 300, 20);
  for (const char* name : {"tile/0/000", "tile/entries/000"}) {
    dir.WriteText(std::string("log/") + name, again.ReadText(std::string("log/") + name));
  }
  auto ledger = Ledger::Open(TestOptions(dir));
  ASSERT_TRUE(ledger) << ledger.error().detail;
  EXPECT_EQ((*ledger)->stats().size, 320u);
  ASSERT_TRUE((*ledger)->Close());
  const VerifyReport report = VerifyDataDir(dir.path());
  EXPECT_TRUE(report.ok()) << report.Text();
}

TEST(Recovery, RefusesAMissingOrOlderOrForeignCheckpoint) {
  const Scratch dir;
  WriteUnpublished(dir.path(), 10, 0);
  const std::string ten = dir.ReadText("log/checkpoint");
  WriteUnpublished(dir.path(), 0, 600);
  {
    ASSERT_TRUE(Ledger::Open(TestOptions(dir)));
  }
  const std::string now = dir.ReadText("log/checkpoint");
  dir.WriteText("log/checkpoint", ten);
  EXPECT_FALSE(Ledger::Open(TestOptions(dir)));
  dir.WriteText("log/checkpoint", "");
  EXPECT_FALSE(Ledger::Open(TestOptions(dir)));
  std::filesystem::remove(dir.path() / "log/checkpoint");
  EXPECT_FALSE(Ledger::Open(TestOptions(dir)));
  dir.WriteText("log/checkpoint", now);
  EXPECT_TRUE(Ledger::Open(TestOptions(dir)));
}

TEST(Recovery, GoesOnFromTheLogAloneWhenTheWriteAheadLogIsGone) {
  const Scratch dir;
  WriteUnpublished(dir.path(), 700, 0);
  std::filesystem::remove_all(dir.path() / "wal");
  auto ledger = Ledger::Open(TestOptions(dir));
  ASSERT_TRUE(ledger) << ledger.error().detail;
  EXPECT_EQ(*(*ledger)->Append("entry 700"), 700u);
  ASSERT_TRUE((*ledger)->Close());
  EXPECT_TRUE(VerifyDataDir(dir.path()).ok());
  // But not with an altered last bundle.
  std::filesystem::remove_all(dir.path() / "wal");
  std::string bundle = dir.ReadText("log/tile/entries/002.p/189");
  ASSERT_FALSE(bundle.empty());
  bundle.back() = '1';
  dir.WriteText("log/tile/entries/002.p/189", bundle);
  EXPECT_FALSE(Ledger::Open(TestOptions(dir)));
}

TEST(Recovery, RandomDamageNeverLosesACoveredEntrySilently) {
  const Scratch base;
  WriteUnpublished(base.path(), 300, 40);
  const std::filesystem::path segment = NewestSegment(base.path(), "entry 339");
  std::ifstream in(segment, std::ios::binary);
  const std::string bytes{std::istreambuf_iterator<char>(in), {}};
  const size_t used = bytes.find_last_not_of('\0') + 1;
  for (size_t at = 0; at < used; at += 1 + used / 60) {
    std::string damaged = bytes.substr(0, used) + std::string(4096, '\0');
    damaged[at] = char(damaged[at] ^ 0x40);
    std::ofstream(segment, std::ios::binary) << damaged;
    const Scratch copy;
    std::filesystem::copy(base.path(), copy.path(), std::filesystem::copy_options::recursive);
    auto ledger = Ledger::Open(TestOptions(copy));
    if (!ledger) continue;  // refused, with the file's name
    EXPECT_GE((*ledger)->stats().size, 339u)
        << "byte " << at;  // only the very last frame may look torn
    ASSERT_TRUE((*ledger)->Close());
    EXPECT_TRUE(VerifyDataDir(copy.path()).ok());
  }
}

/// In a child, because the limit cannot be taken back: files may not grow beyond what the segment
/// needs, so the next segment or tile fails as on a full disk.
TEST(Failure, AFullDiskPoisonsAndLeavesAWord) {
  const Scratch dir;
  const pid_t child = ::fork();
  if (child == 0) {
    Options options = TestOptions(dir);
    options.segment_bytes = 128 << 10;
    auto ledger = Ledger::Open(std::move(options));
    if (!ledger) _exit(1);
    for (int i = 0; i < 100; ++i) {
      if (!(*ledger)->Append("entry " + std::to_string(i))) _exit(2);
    }
    ::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{64 << 10, 64 << 10};  // EFBIG stands in for ENOSPC: the same path
    ::setrlimit(RLIMIT_FSIZE, &limit);
    const std::string entry(1000, 'x');
    bool failed = false;
    for (int i = 0; i < 1000 && !failed; ++i) failed = !(*ledger)->AppendStrictBlocking(entry);
    if (!failed || (*ledger)->healthy()) _exit(3);
    if ((*ledger)->Append("more").error().code != Errc::ledger_unavailable) _exit(4);
    if ((*ledger)->AppendStrictBlocking("more")) _exit(5);
    if ((*ledger)->stats().failure.empty() || (*ledger)->Close()) _exit(6);
    _exit(0);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  ASSERT_TRUE(WIFEXITED(status));
  ASSERT_EQ(WEXITSTATUS(status), 0);
  auto ledger = Ledger::Open(TestOptions(dir));
  ASSERT_TRUE(ledger) << ledger.error().detail;
  const uint64_t size = (*ledger)->stats().size;
  ASSERT_TRUE((*ledger)->Close());
  auto reader = LogReader::Open(dir.path());
  ASSERT_TRUE(reader);
  EXPECT_NE(reader->Read(size - 1)->find("log.failed"), std::string::npos)
      << *reader->Read(size - 1);
  EXPECT_TRUE(VerifyDataDir(dir.path()).ok());
}

/// A write of several entries that stops in the middle of one: those before it are in the file and
/// keep their indexes, so that the last word behind them is not a second entry of the same one.
TEST(Failure, APartOfATurnKeepsItsIndexes) {
  const Scratch dir;
  const pid_t child = ::fork();
  if (child == 0) {
    Options options = TestOptions(dir);
    options.checkpoint_interval = std::chrono::hours(1);
    auto ledger = Ledger::Open(std::move(options));
    if (!ledger) _exit(1);
    // The next segment is filled in the background: the limit has to meet the write of the turn,
    // not that.
    std::this_thread::sleep_for(std::chrono::seconds(1));
    ::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{8 << 10, 8 << 10};
    ::setrlimit(RLIMIT_FSIZE, &limit);
    boost::asio::io_context context{1};
    int refused = 0;
    for (int i = 0; i < 20; ++i) {
      boost::asio::co_spawn(
          context,
          [&]() -> boost::asio::awaitable<void> {
            refused += !(co_await (*ledger)->AppendSoon(std::string(1000, 'x')));
          },
          boost::asio::detached);
    }
    context.run();
    const bool failed = refused == 20 && !(*ledger)->healthy();
    (void)(*ledger)->Close();
    _exit(failed ? 0 : 2);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  ASSERT_TRUE(WIFEXITED(status));
  ASSERT_EQ(WEXITSTATUS(status), 0);
  auto ledger = Ledger::Open(TestOptions(dir));
  ASSERT_TRUE(ledger) << ledger.error().detail;
  const uint64_t size = (*ledger)->stats().size;
  EXPECT_GE(size, 5u);
  ASSERT_TRUE((*ledger)->Close());
  auto reader = LogReader::Open(dir.path());
  ASSERT_TRUE(reader);
  EXPECT_EQ(*reader->Read(size - 2), std::string(1000, 'x'));
  EXPECT_NE(reader->Read(size - 1)->find("log.failed"), std::string::npos);
}

TEST(Failure, AReadOnlyDirectoryIsRefusedWithItsName) {
  if (::geteuid() == 0) {
    // root writes anywhere; a file in the place of the directory is refused the same way
    const Scratch dir;
    dir.WriteText("log", "");
    const auto ledger = Ledger::Open(TestOptions(dir));
    ASSERT_FALSE(ledger);
    EXPECT_NE(ledger.error().detail.find("log"), std::string::npos);
    return;
  }
  const Scratch dir;
  std::filesystem::permissions(
      dir.path(), std::filesystem::perms::owner_read | std::filesystem::perms::owner_exec);
  const auto ledger = Ledger::Open(TestOptions(dir));
  std::filesystem::permissions(dir.path(), std::filesystem::perms::owner_all);
  ASSERT_FALSE(ledger);
  EXPECT_NE(ledger.error().detail.find("Permission denied"), std::string::npos)
      << ledger.error().detail;
}

}  // namespace
}  // namespace sallyport::ledger
