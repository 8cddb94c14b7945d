#include "net/process.h"

#include <atomic>
#include <cstdlib>
#include <fcntl.h>
#include <future>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <mutex>
#include <signal.h>
#include <thread>
#include <unistd.h>

#include "net/event.h"
#include "net/shards.h"

namespace sallyport::net {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;
namespace asio = boost::asio;

using Line = Result<std::optional<std::string>>;

std::string Text(const Line& line) {
  if (!line) return "<" + std::string(ReasonCode(line.error().code)) + ">";
  return line->value_or("<end>");
}

asio::awaitable<void> ReadOne(Process& process, std::promise<Line>& done) {
  done.set_value(co_await process.ReadLine());
}
asio::awaitable<void> WriteOne(Process& process, std::string line, std::promise<Result<>>& done) {
  done.set_value(co_await process.WriteLine(std::move(line)));
}

class ProcessTest : public testing::Test {
 public:
  void SetUp() override { shards_.Start(); }
  void TearDown() override {
    if (process_) OnShard([&] { process_.reset(); });
    shards_.Stop();
  }
  void OnShard(const std::function<void()>& f) {
    std::promise<void> done;
    Post(shards_.executor(0), [&] { f(), done.set_value(); });
    done.get_future().get();
  }
  Result<> Start(Process::Options options) {
    Result<> started;
    OnShard([&] {
      auto process = Process::Start(shards_.executor(0), std::move(options));
      if (process) {
        process_ = std::move(*process);
      } else {
        started = std::unexpected(process.error());
      }
    });
    return started;
  }
  Result<> Shell(std::string script) {
    Process::Options options;
    options.argv = {"/bin/sh", "-c", std::move(script)};
    return Start(std::move(options));
  }
  Line Read() {
    std::promise<Line> done;
    auto future = done.get_future();
    net::Spawn(shards_.executor(0), ReadOne(*process_, done));
    if (future.wait_for(10s) != std::future_status::ready) std::abort();
    return future.get();
  }
  Result<> Write(std::string line) {
    std::promise<Result<>> done;
    auto future = done.get_future();
    net::Spawn(shards_.executor(0), WriteOne(*process_, std::move(line), done));
    return future.get();
  }
  static bool Exists(int pid) { return ::kill(pid, 0) == 0; }
  template <class F>
  static bool Eventually(F f) {
    for (int i = 0; i < 1500; ++i) {
      if (f()) return true;
      std::this_thread::sleep_for(2ms);
    }
    return false;
  }

  Shards shards_{1};
  std::unique_ptr<Process> process_;
};

TEST_F(ProcessTest, SpeaksInLines) {
  Process::Options options;
  options.argv = {"cat"};  // found in PATH
  ASSERT_TRUE(Start(options));
  for (const std::string line : {"one", "", "{\"a\":\"\xc3\xa9\"}"}) {
    ASSERT_TRUE(Write(line));
    EXPECT_EQ(Text(Read()), line);
  }
  const std::string large(3'000'000, 'x');
  std::promise<Result<>> written;
  auto future = written.get_future();
  net::Spawn(shards_.executor(0), WriteOne(*process_, large, written));
  EXPECT_EQ(Text(Read()), large);
  EXPECT_TRUE(future.get());
  EXPECT_FALSE(Write("two\nlines"));
}

TEST_F(ProcessTest, ConcurrentWritesDoNotMix) {
  Process::Options options;
  options.argv = {"cat"};
  ASSERT_TRUE(Start(options));
  std::vector<std::promise<Result<>>> written(20);
  for (size_t i = 0; i < written.size(); ++i)
    net::Spawn(shards_.executor(0),
               WriteOne(*process_, std::string(50'000, char('a' + i)), written[i]));
  for (size_t i = 0; i < written.size(); ++i)
    EXPECT_EQ(Text(Read()), std::string(50'000, char('a' + i)));
  for (auto& promise : written) EXPECT_TRUE(promise.get_future().get());
}

TEST_F(ProcessTest, EndsWithItsOutput) {
  ASSERT_TRUE(Shell("echo a; printf b"));
  EXPECT_EQ(Text(Read()), "a");
  EXPECT_EQ(Text(Read()), "b");
  EXPECT_EQ(Text(Read()), "<end>");
  EXPECT_EQ(Text(Read()), "<end>");
  EXPECT_TRUE(Eventually([&] { return !Exists(process_->pid()); })) << "not reaped";
  Result<> written;
  EXPECT_TRUE(Eventually([&] { return !(written = Write("x")); }));
  EXPECT_EQ(written.error().code, Errc::upstream_closed);
}

TEST_F(ProcessTest, ErrorsAreLinesAndBounded) {
  std::mutex mutex;
  std::vector<std::string> lines;
  Process::Options options;
  options.argv = {"/bin/sh", "-c",
                  "echo one >&2; printf 'tw' >&2; sleep 0.05; echo o >&2; printf %05000d 0 >&2; "
                  "printf '\\nend' >&2"};
  options.on_stderr = [&](std::string_view line) {
    std::lock_guard lock(mutex);
    lines.emplace_back(line);
  };
  ASSERT_TRUE(Start(options));
  EXPECT_TRUE(Eventually([&] {
    std::lock_guard lock(mutex);
    return lines.size() == 4;
  }));
  std::lock_guard lock(mutex);
  EXPECT_THAT(lines, ElementsAre("one", "two", std::string(4096, '0'), "end"));
}

TEST_F(ProcessTest, AFloodOfErrorsIsHeldBack) {
  std::atomic<size_t> bytes{0};
  Process::Options options;
  options.argv = {"/bin/sh", "-c", "exec yes complaint complaint complaint >&2"};
  options.on_stderr = [&](std::string_view line) { bytes += line.size() + 1; };
  ASSERT_TRUE(Start(options));
  EXPECT_TRUE(Eventually([&] { return bytes > 200'000; }));  // it goes on
  const size_t before = bytes;
  std::this_thread::sleep_for(300ms);
  EXPECT_LT(bytes - before, 600'000u);
  OnShard([&] { process_.reset(); });
}

TEST_F(ProcessTest, ExactlyTheEnvironmentAndDirectoryGiven) {
  ::setenv("SALLYPORT_TEST_SECRET", "hunter2", 1);
  const int leaked = ::fcntl(2, F_DUPFD, 50);  // without close-on-exec
  ASSERT_GE(leaked, 0);
  Process::Options options;
  options.argv = {"/bin/sh", "-c",
                  "/usr/bin/env; pwd; ls /proc/self/fd | tr '\\n' ' '; echo; grep NoNewPrivs "
                  "/proc/self/status; ulimit -c"};
  options.environment = {{"A", "b c"}};
  options.directory = "/usr";
  ASSERT_TRUE(Start(options));
  std::string all;
  for (Line line; (line = Read()) && *line;) all += **line + "\n";
  ::close(leaked);
  ::unsetenv("SALLYPORT_TEST_SECRET");
  EXPECT_THAT(all, HasSubstr("A=b c\n"));
  EXPECT_EQ(all.find("hunter2"), all.npos);
  EXPECT_EQ(all.find("PATH="), all.npos);
  EXPECT_THAT(all, HasSubstr("/usr\n"));
  EXPECT_THAT(all, HasSubstr("\n0 1 2 3 \n"));  // 3 is what ls itself opened
  EXPECT_THAT(all, HasSubstr("NoNewPrivs:\t1\n0\n"));
}

TEST_F(ProcessTest, SaysWhyItCannotStart) {
  Process::Options options;
  const auto why = [&] {
    const auto started = Start(options);
    return started ? std::string("started")
                   : std::string(ReasonCode(started.error().code)) + " " + started.error().detail;
  };
  EXPECT_EQ(why(), "upstream-unreachable no program");
  options.argv = {"/no/such/program"};
  EXPECT_EQ(why(), "upstream-unreachable /no/such/program: exec: No such file or directory");
  options.argv = {"no-such-program"};
  EXPECT_EQ(why(),
            "upstream-unreachable no-such-program: not found in PATH: No such file or directory");
  options.argv = {"/etc/passwd"};
  EXPECT_EQ(why(), "upstream-unreachable /etc/passwd: exec: Permission denied");
  options.argv = {"cat"};
  options.directory = "/no/such/directory";
  EXPECT_EQ(why(), "upstream-unreachable cat: directory: No such file or directory");
}

TEST_F(ProcessTest, LineTooLongAndMemoryLimit) {
  Process::Options options;
  options.argv = {"/bin/sh", "-c", "echo short; printf %0100000d 0; echo; echo after"};
  options.line_limit = 1000;
  ASSERT_TRUE(Start(options));
  EXPECT_EQ(Text(Read()), "short");
  for (int i = 0; i < 2; ++i) {
    const Line line = Read();
    ASSERT_FALSE(line);
    EXPECT_EQ(line.error().code, Errc::upstream_too_large);
  }
  Process::Options small;
  small.argv = {"/bin/sh", "-c", "ulimit -v"};
  small.memory_limit = 64 << 20;
  OnShard([&] { process_.reset(); });
  ASSERT_TRUE(Start(small));
  EXPECT_EQ(Text(Read()), "65536");
}

TEST_F(ProcessTest, TerminateFirstAsksThenKillsTheGroup) {
  ASSERT_TRUE(Shell("trap 'echo asked' TERM; sleep 100 & echo $!; while :; do sleep 0.05; done"));
  const Line child = Read();
  ASSERT_TRUE(child && *child);
  const int grandchild = std::atoi((*child)->c_str());
  const int pid = process_->pid();
  EXPECT_TRUE(Exists(grandchild));
  OnShard([&] { process_->Terminate(600ms); });
  EXPECT_EQ(Text(Read()), "asked");
  EXPECT_TRUE(Eventually([&] { return !Exists(pid) && !Exists(grandchild); }));
  EXPECT_EQ(Text(Read()), "<end>");
}

TEST_F(ProcessTest, DestroyingItCancelsReadsAndEndsTheProcess) {
  Process::Options options;
  options.argv = {"cat"};
  ASSERT_TRUE(Start(options));
  const int pid = process_->pid();
  std::promise<Line> done;
  auto future = done.get_future();
  net::Spawn(shards_.executor(0), ReadOne(*process_, done));
  std::this_thread::sleep_for(10ms);
  OnShard([&] { process_.reset(); });
  const Line line = future.get();
  ASSERT_FALSE(line);
  EXPECT_EQ(line.error().code, Errc::cancelled);
  EXPECT_TRUE(Eventually([&] { return !Exists(pid); }));
}

TEST_F(ProcessTest, StoppingTheShardsLeavesNoProcess) {
  ASSERT_TRUE(Shell("trap '' TERM; sleep 100 & sleep 100"));
  const int pid = process_->pid();
  shards_.Stop();
  process_.reset();
  // Its operations died with the loop, and with them the child.
  EXPECT_TRUE(Eventually([&] { return !Exists(pid); }));
}

TEST_F(ProcessTest, AChildThatDoesNotReadBlocksOnlyItsWriter) {
  ASSERT_TRUE(Shell("exec sleep 100"));
  std::promise<Result<>> written;
  auto future = written.get_future();
  net::Spawn(shards_.executor(0), WriteOne(*process_, std::string(1 << 20, 'x'), written));
  EXPECT_EQ(future.wait_for(50ms), std::future_status::timeout);
  OnShard([] {});
  OnShard([&] { process_->Terminate(0ms); });
  EXPECT_FALSE(future.get());
}

}  // namespace
}  // namespace sallyport::net
