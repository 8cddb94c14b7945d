#include "net/process.h"

#include <array>
#include <boost/asio/posix/basic_stream_descriptor.hpp>
#include <cerrno>
#include <cstring>
#include <list>
#include <mutex>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>
#include <utility>

#include "net/loop.h"
#include "net/spawn.h"
#include "obs/log.h"

namespace sallyport::net {

namespace asio = boost::asio;

namespace {

using Descriptor = asio::posix::basic_stream_descriptor<asio::io_context::executor_type>;

constexpr std::chrono::milliseconds kWriteLimit{30'000};  // for a child that does not read
constexpr std::chrono::milliseconds kLastGrace{1'000};    // of a Process that is destroyed
constexpr size_t kErrorLine = 4 << 10;
constexpr size_t kErrorsAtOnce = 64 << 10;

/// The child and all that reads from it. Pending operations keep it until the child is reaped; when
/// the loop ends first, it is killed and reaped at once.
class Child : public std::enable_shared_from_this<Child> {
 public:
  Child(Loop& loop, const Spawned& spawned, Process::Options options)
      : loop_(loop),
        options_(std::move(options)),
        pid_(spawned.pid),
        exited_(loop.context(), spawned.pidfd),
        input_(loop.context(), spawned.input),
        output_(loop.context(), spawned.output),
        errors_(loop.context(), spawned.errors),
        reader_(loop),
        writable_(loop),
        error_rest_(loop, [this] { ReadErrors(); }),
        grace_timer_(loop, [this] { Escalate(); }) {}

  ~Child() {
    if (reaped_) return;
    ::kill(-pid_, SIGKILL);
    while (::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
    }
  }

  void Watch() {
    exited_.async_wait(Descriptor::wait_read,
                       [self = shared_from_this()](boost::system::error_code error) {
                         if (!error) self->Reap();
                       });
    ReadErrors();
  }

  Task<std::optional<std::string>> ReadLine() {
    const auto self = shared_from_this();
    for (;;) {
      const size_t end = lines_.find('\n', scanned_);
      if (end != lines_.npos && end - taken_ <= options_.line_limit) {
        std::string line = lines_.substr(taken_, end - taken_);
        taken_ = scanned_ = end + 1;
        if (taken_ == lines_.size()) lines_.clear(), taken_ = scanned_ = 0;
        co_return std::optional<std::string>(std::move(line));
      }
      scanned_ = lines_.size();
      // The rest of a line too long is not looked for: what follows could be anything.
      if (lines_.size() - taken_ > options_.line_limit)
        co_return Fail(Errc::upstream_too_large, "a line of the process");
      if (cancelled_) co_return Fail(Errc::cancelled);
      if (ended_) co_return TakeRest();
      ReadOutput();
      if (co_await reader_.Wait() == Parking::Wake::gone) co_return Fail(Errc::cancelled);
    }
  }

  Task<> WriteLine(std::string line) {
    const auto self = shared_from_this();
    if (line.find('\n') != line.npos) co_return Fail(Errc::internal, "a newline in a line");
    line += '\n';
    if (writing_) {
      Parking parking(loop_);
      const InLine in_line(writers_, parking);
      if (co_await parking.Wait(kWriteLimit) != Parking::Wake::signalled)
        co_return Fail(Errc::upstream_timeout, "the process does not read");
    }
    writing_ = true;
    const Result<> written = co_await WriteAll(line);
    writing_ = false;
    if (!written) CloseInput();  // half a line is out: nothing may follow it
    if (!writers_.empty()) {
      writing_ = true;  // passed on, so that nobody overtakes
      Parking* next = writers_.front();
      writers_.pop_front();
      next->Signal();
    }
    co_return written;
  }

  void Terminate(std::chrono::milliseconds grace) {
    CloseInput();
    if (reaped_) return;
    grace_ = grace;
    if (grace.count() <= 0) {
      ::kill(-pid_, SIGKILL);
    } else if (stage_ == 0) {
      stage_ = 1;
      grace_timer_.SetAfter(grace);
    }
  }

  /// The Process is gone: nobody is told anything any more.
  void Abandon() {
    options_.on_stderr = nullptr;
    cancelled_ = true;
    reader_.Signal(Parking::Wake::gone);
    Terminate(kLastGrace);
  }

  int pid() const { return pid_; }

 private:
  class InLine {
   public:
    InLine(std::list<Parking*>& line, Parking& parking) : line_(line), parking_(parking) {
      line_.push_back(&parking);
    }
    InLine(const InLine&) = delete;
    ~InLine() { line_.remove(&parking_); }

   private:
    std::list<Parking*>& line_;
    Parking& parking_;
  };

  std::optional<std::string> TakeRest() {
    if (taken_ == lines_.size()) return std::nullopt;
    std::string rest = lines_.substr(taken_);  // a last line without a newline
    lines_.clear(), taken_ = scanned_ = 0;
    return rest;
  }

  void ReadOutput() {
    if (reading_) return;
    if (taken_ > 0) {
      lines_.erase(0, taken_);
      scanned_ -= taken_, taken_ = 0;
    }
    reading_ = true;
    output_.async_read_some(asio::buffer(piece_),
                            [self = shared_from_this()](boost::system::error_code error, size_t n) {
                              self->reading_ = false;
                              self->lines_.append(self->piece_.data(), n);
                              if (error) self->ended_ = true;
                              self->reader_.Resume();
                            });
  }

  void ReadErrors() {
    errors_.async_read_some(asio::buffer(error_piece_),
                            [self = shared_from_this()](boost::system::error_code error, size_t n) {
                              self->TakeErrors({self->error_piece_.data(), n});
                              if (!error) return self->MoreErrors(n);
                              if (!self->error_line_.empty()) self->TakeErrors("\n");
                            });
  }

  /// A child that only complains waits in its own write: it gets about 640 KB/s of us.
  void MoreErrors(size_t n) {
    error_bytes_ += n;
    if (error_bytes_ < kErrorsAtOnce) return ReadErrors();
    error_bytes_ = 0;
    error_rest_.SetAfter(std::chrono::milliseconds(100));
  }

  void TakeErrors(std::string_view bytes) {
    while (!bytes.empty()) {
      const size_t end = bytes.find('\n');
      const std::string_view part = bytes.substr(0, end);
      error_line_.append(part.substr(0, kErrorLine - std::min(kErrorLine, error_line_.size())));
      if (end == bytes.npos) return;
      bytes.remove_prefix(end + 1);
      if (options_.on_stderr) options_.on_stderr(error_line_);
      error_line_.clear();
    }
  }

  Task<> WriteAll(std::string_view bytes) {
    while (!bytes.empty()) {
      if (!input_.is_open())
        co_return Fail(Errc::upstream_closed, "the process takes no more input");
      const ssize_t n = ::write(input_.native_handle(), bytes.data(), bytes.size());
      if (n >= 0) {
        bytes.remove_prefix(size_t(n));
        continue;
      }
      if (errno == EINTR) continue;
      if (errno != EAGAIN) co_return Fail(Errc::upstream_closed, "the process takes no more input");
      input_.async_wait(
          Descriptor::wait_write,
          [self = shared_from_this()](boost::system::error_code) { self->writable_.Resume(); });
      if (co_await writable_.Wait(kWriteLimit) != Parking::Wake::signalled)
        co_return Fail(Errc::upstream_timeout, "the process does not read");
    }
    co_return Result<>();
  }

  void CloseInput() {
    boost::system::error_code ignored;
    if (input_.is_open()) input_.close(ignored);
  }

  void Escalate() {
    if (reaped_) return;
    if (stage_ == 1) {
      stage_ = 2;
      ::kill(-pid_, SIGTERM);
      grace_timer_.SetAfter(grace_);
    } else {
      ::kill(-pid_, SIGKILL);
    }
  }

  void Reap() {
    // Before it is reaped, so that its number cannot belong to another group yet.
    ::kill(-pid_, SIGKILL);
    int status = 0;
    if (::waitpid(pid_, &status, WNOHANG) != pid_) return;
    reaped_ = true;
    grace_timer_.Clear();
    boost::system::error_code ignored;
    exited_.close(ignored);
    CloseInput();
    obs::Log(obs::Level::info, "net.process_exited",
             {{"pid", pid_},
              {"program", options_.argv[0]},
              {"status", WIFEXITED(status) ? WEXITSTATUS(status) : -1},
              {"signal", WIFSIGNALED(status) ? WTERMSIG(status) : 0}});
  }

  Loop& loop_;
  Process::Options options_;
  const int pid_;
  Descriptor exited_, input_, output_, errors_;
  bool reaped_ = false, cancelled_ = false;

  std::string lines_;   // output not yet taken
  size_t taken_ = 0;    // of it, by ReadLine
  size_t scanned_ = 0;  // of it, for a newline
  bool reading_ = false, ended_ = false;
  std::array<char, 16 << 10> piece_;
  Parking reader_;

  bool writing_ = false;
  std::list<Parking*> writers_;
  Parking writable_;

  std::string error_line_;
  std::array<char, 4 << 10> error_piece_;
  size_t error_bytes_ = 0;  // since the last rest
  Deadline error_rest_;

  int stage_ = 0;
  std::chrono::milliseconds grace_{0};
  Deadline grace_timer_;
};

class ChildProcess final : public Process {
 public:
  explicit ChildProcess(std::shared_ptr<Child> child) : child_(std::move(child)) {}
  ~ChildProcess() override { child_->Abandon(); }
  Task<std::optional<std::string>> ReadLine() override { return child_->ReadLine(); }
  Task<> WriteLine(std::string line) override { return child_->WriteLine(std::move(line)); }
  void Terminate(std::chrono::milliseconds grace) override { child_->Terminate(grace); }
  int pid() const override { return child_->pid(); }

 private:
  const std::shared_ptr<Child> child_;
};

/// A write to a child that has gone must be an error, not the end of the gateway.
void IgnoreBrokenPipes() {
  static std::once_flag once;
  std::call_once(once, [] {
    struct sigaction now{};
    if (::sigaction(SIGPIPE, nullptr, &now) == 0 && now.sa_handler == SIG_DFL)
      ::signal(SIGPIPE, SIG_IGN);
  });
}

}  // namespace

Result<std::unique_ptr<Process>> Process::Start(asio::any_io_executor executor, Options options) {
  IgnoreBrokenPipes();
  const SpawnOptions spawn{options.argv, options.environment, options.directory,
                           options.memory_limit};
  SALLYPORT_TRY(const Spawned spawned, SpawnChild(spawn));
  auto child = std::make_shared<Child>(Loop::Of(executor), spawned, std::move(options));
  child->Watch();
  return std::make_unique<ChildProcess>(std::move(child));
}

}  // namespace sallyport::net
