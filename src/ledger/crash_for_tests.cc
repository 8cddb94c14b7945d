#include "ledger/crash_for_tests.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <csignal>
#include <cstring>
#include <random>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <vector>

#include "ledger/reader.h"
#include "ledger/scratch_for_tests.h"
#include "ledger/verify.h"

namespace sallyport::ledger {
namespace {

constexpr int kThreads = 4;

/// What the child says of one acknowledged append; small enough that a pipe takes it whole.
struct Acknowledged {
  uint64_t index;
  uint32_t round;
  uint32_t thread;
  uint32_t number;
  uint32_t strict;
};

std::string EntryOf(const Acknowledged& a) {
  std::string entry = "{\"round\":" + std::to_string(a.round) +
                      ",\"thread\":" + std::to_string(a.thread) +
                      ",\"number\":" + std::to_string(a.number) + ",\"x\":\"";
  entry.append((a.number * 37 + a.thread * 101) % 1500, 'x');
  return entry + "\"}";
}

Options CrashOptions(const std::filesystem::path& dir) {
  Options options = TestOptions(dir);
  options.segment_bytes = 256 << 10;  // many rotations
  options.checkpoint_interval = std::chrono::milliseconds(4);
  return options;
}

void Report(int pipe, const Acknowledged& a) {
  if (::write(pipe, &a, sizeof a) != sizeof a) _exit(5);
}

/// One of several coroutines that append on one loop, as the calls of a shard do.
boost::asio::awaitable<void> AppendOnLoop(Ledger& ledger, int pipe, uint32_t round, uint32_t thread,
                                          uint32_t& next) {
  for (;;) {
    Acknowledged a{0, round, thread, next++, next % 16 == 0};
    const auto index = a.strict ? co_await ledger.AppendStrict(EntryOf(a))
                                : co_await ledger.AppendSoon(EntryOf(a));
    if (!index && !ledger.healthy()) _exit(4);
    if (!index) continue;
    a.index = *index;
    Report(pipe, a);
  }
}

void RunLoop(Ledger& ledger, int pipe, uint32_t round, uint32_t thread) {
  boost::asio::io_context context{1};
  uint32_t next = 0;
  for (int i = 0; i < 8; ++i) {
    boost::asio::co_spawn(context, AppendOnLoop(ledger, pipe, round, thread, next),
                          boost::asio::detached);
  }
  context.run();
}

[[noreturn]] void RunChild(const std::filesystem::path& dir, int pipe, uint32_t round) {
  auto ledger = Ledger::Open(CrashOptions(dir));
  if (!ledger) _exit(3);
  std::vector<std::thread> threads;
  for (uint32_t t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      if (t >= 2) return RunLoop(**ledger, pipe, round, t);
      for (uint32_t i = 0;; ++i) {
        Acknowledged a{0, round, t, i, t == 0 || i % 16 == 0};
        const auto index =
            a.strict ? (*ledger)->AppendStrictBlocking(EntryOf(a)) : (*ledger)->Append(EntryOf(a));
        if (!index) {  // a full queue: try again
          if (!(*ledger)->healthy()) _exit(4);
          std::this_thread::yield();
          continue;
        }
        a.index = *index;
        Report(pipe, a);
      }
    });
  }
  for (auto& t : threads) t.join();
  _exit(0);
}

/// Runs one child and kills it; returns what it acknowledged.
std::vector<Acknowledged> KillOne(const std::filesystem::path& dir, uint32_t round,
                                  unsigned wait_us, int& status) {
  int fds[2];
  if (::pipe(fds) != 0) std::abort();
  const pid_t child = ::fork();
  if (child == 0) {
    ::close(fds[0]);
    RunChild(dir, fds[1], round);
  }
  ::close(fds[1]);
  std::thread killer;
  const auto kill_later = [&] {
    killer = std::thread([child, wait_us] {
      ::usleep(wait_us);
      ::kill(child, SIGKILL);
    });
  };
  // Most die under load, some while they start and recover.
  if (round % 5 == 4) kill_later();
  std::vector<Acknowledged> all;
  Acknowledged a;
  for (size_t have = 0;;) {
    const ssize_t n = ::read(fds[0], reinterpret_cast<char*>(&a) + have, sizeof a - have);
    if (n <= 0) break;
    if (!killer.joinable()) kill_later();
    have += size_t(n);
    if (have == sizeof a) all.push_back(a), have = 0;
  }
  if (killer.joinable()) killer.join();
  ::close(fds[0]);
  ::waitpid(child, &status, 0);
  return all;
}

std::string CheckLog(const std::filesystem::path& dir, const std::vector<Acknowledged>& all,
                     const char* when) {
  const VerifyReport report = VerifyDataDir(dir);
  if (!report.ok()) return std::string(when) + ": " + report.Text();
  auto reader = LogReader::Open(dir);
  if (!reader) return std::string(when) + ": " + reader.error().detail;
  for (const Acknowledged& a : all) {
    const auto entry = reader->Read(a.index);
    if (!entry) return std::string(when) + ": acknowledged entry lost: " + entry.error().detail;
    if (*entry != EntryOf(a))
      return std::string(when) + ": entry " + std::to_string(a.index) + " is another one";
  }
  return {};
}

}  // namespace

CrashResult RunCrashes(const std::filesystem::path& dir, uint64_t rounds, uint64_t seed) {
  std::mt19937_64 random(seed);
  CrashResult result;
  std::string remembered;  // a checkpoint from before the crash must stay true
  for (uint64_t round = 0; round < rounds && result.failure.empty(); ++round) {
    int status = 0;
    const auto all = KillOne(dir, uint32_t(round), unsigned(random() % 60'000), status);
    if (WIFEXITED(status)) {
      result.failure = "the child ended by itself with code " + std::to_string(WEXITSTATUS(status));
      break;
    }
    ++result.rounds;
    result.acknowledged += all.size();
    for (const Acknowledged& a : all) result.strict += a.strict;
    if (!std::filesystem::exists(dir / "log" / "checkpoint"))
      continue;  // killed before the log began
    result.failure = CheckLog(dir, all, "after the kill");
    if (!result.failure.empty()) break;
    if (round % 3 == 0) continue;  // the next child recovers, and may be killed while it does
    auto ledger = Ledger::Open(CrashOptions(dir));
    if (!ledger) {
      result.failure = "open: " + ledger.error().detail;
      break;
    }
    if (!(*ledger)->Close()) result.failure = "close failed";
    if (result.failure.empty()) result.failure = CheckLog(dir, all, "after recovery");
    if (!remembered.empty() && result.failure.empty()) {
      if (!VerifyDataDir(dir, {}, remembered).ok())
        result.failure = "an earlier checkpoint is not continued";
    }
    const auto note = LogDirectory(dir / "log").Read("checkpoint");
    remembered = note.value_or("");
  }
  return result;
}

}  // namespace sallyport::ledger
