#include "net/spawn.h"

#include <array>
#include <cerrno>
#include <climits>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <utility>

namespace sallyport::net {
namespace {

/// A descriptor that closes itself.
class Fd {
 public:
  Fd() = default;
  explicit Fd(int fd) : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Fd& operator=(Fd&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Fd() {
    if (fd_ >= 0) ::close(fd_);
  }
  int get() const { return fd_; }
  int Release() { return std::exchange(fd_, -1); }

 private:
  int fd_ = -1;
};

struct Pipe {
  Fd read, write;
  bool Open() {
    int fds[2];
    if (::pipe2(fds, O_CLOEXEC) != 0) return false;
    read = Fd(fds[0]), write = Fd(fds[1]);
    return true;
  }
};

std::unexpected<Error> Cannot(const std::string& program, const char* what, int error) {
  std::array<char, 128> text{};
  return Fail(Errc::upstream_unreachable,
              program + ": " + what + ": " + ::strerror_r(error, text.data(), text.size()));
}

/// Where execve finds `program`; PATH is that of this process, not that of the child.
Result<std::string> Find(const std::string& program) {
  if (program.empty()) return Fail(Errc::upstream_unreachable, "no program");
  if (program.find('/') != program.npos) return program;
  const char* path = std::getenv("PATH");
  std::string_view rest = path != nullptr ? path : "/usr/bin:/bin";
  while (!rest.empty()) {
    const size_t colon = rest.find(':');
    const std::string_view directory = rest.substr(0, colon);
    rest = colon == rest.npos ? std::string_view() : rest.substr(colon + 1);
    if (directory.empty()) continue;  // the current directory is never searched
    std::string candidate = std::string(directory) + "/" + program;
    if (::access(candidate.c_str(), X_OK) == 0) return candidate;
  }
  return Cannot(program, "not found in PATH", ENOENT);
}

/// What the child needs, made before the fork: between fork and exec of a process with threads
/// nothing may be allocated and nothing but system calls may be called.
struct Prepared {
  const char* path;
  char* const* argv;
  char* const* environment;
  const char* directory;
  rlim_t memory_limit;
  int input, output, errors, report;
  pid_t parent;
};

constexpr int kReport = 3;

enum Step : int { kDescriptors, kDirectory, kLimits, kExec };
constexpr std::array<const char*, 4> kStepNames = {"descriptors", "directory", "limits", "exec"};

[[noreturn]] void GiveUp(int fd, Step step) {
  const int report[2] = {step, errno};
  (void)!::write(fd, report, sizeof report);
  ::_exit(127);
}

[[noreturn]] void RunChild(const Prepared& p) {
  ::setpgid(0, 0);
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != p.parent) ::_exit(127);  // it died before the line above
  ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  for (int signal = 1; signal < NSIG; ++signal) {
    struct sigaction action{};
    action.sa_handler = SIG_DFL;
    ::sigaction(signal, &action, nullptr);
  }
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  // All four are above kReport (they were opened after 0..2 and moved up), so no dup2 overwrites
  // another.
  if (::dup2(p.input, 0) < 0 || ::dup2(p.output, 1) < 0 || ::dup2(p.errors, 2) < 0 ||
      ::dup3(p.report, kReport, O_CLOEXEC) < 0)
    GiveUp(p.report, kDescriptors);
  if (::close_range(kReport + 1, UINT_MAX, 0) != 0) GiveUp(kReport, kDescriptors);
  const rlimit no_core{0, 0};
  if (::setrlimit(RLIMIT_CORE, &no_core) != 0) GiveUp(kReport, kLimits);
  const rlimit memory{p.memory_limit, p.memory_limit};
  if (p.memory_limit > 0 && ::setrlimit(RLIMIT_AS, &memory) != 0) GiveUp(kReport, kLimits);
  if (p.directory != nullptr && ::chdir(p.directory) != 0) GiveUp(kReport, kDirectory);
  ::execve(p.path, p.argv, p.environment);
  GiveUp(kReport, kExec);
}

/// Moves a descriptor above those that the child's ends are put on.
bool MoveUp(Fd& fd) {
  const int moved = ::fcntl(fd.get(), F_DUPFD_CLOEXEC, kReport + 1);
  if (moved < 0) return false;
  fd = Fd(moved);
  return true;
}

std::vector<char*> Pointers(std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  for (std::string& text : texts) pointers.push_back(text.data());
  pointers.push_back(nullptr);
  return pointers;
}

bool HasNul(const std::vector<std::string>& texts) {
  for (const std::string& text : texts) {
    if (text.find('\0') != text.npos) return true;
  }
  return false;
}

}  // namespace

Result<Spawned> SpawnChild(const SpawnOptions& options) {
  if (options.argv.empty()) return Fail(Errc::upstream_unreachable, "no program");
  const std::string& program = options.argv[0];
  SALLYPORT_TRY(const std::string path, Find(program));
  std::vector<std::string> arguments = options.argv, environment;
  for (const auto& [name, value] : options.environment) environment.push_back(name + "=" + value);
  if (HasNul(arguments) || HasNul(environment) ||
      options.directory.find('\0') != options.directory.npos)
    return Cannot(program, "arguments", EINVAL);
  const std::vector<char*> argv = Pointers(arguments), envp = Pointers(environment);

  Pipe input, output, errors, report;
  if (!input.Open() || !output.Open() || !errors.Open() || !report.Open() || !MoveUp(input.read) ||
      !MoveUp(output.write) || !MoveUp(errors.write) || !MoveUp(report.write))
    return Cannot(program, "pipes", errno);

  const Prepared prepared{
      path.c_str(),         argv.data(),
      envp.data(),          options.directory.empty() ? nullptr : options.directory.c_str(),
      options.memory_limit, input.read.get(),
      output.write.get(),   errors.write.get(),
      report.write.get(),   ::getpid()};
  const pid_t pid = ::fork();
  if (pid < 0) return Cannot(program, "fork", errno);
  if (pid == 0) RunChild(prepared);
  ::setpgid(pid, pid);  // whoever of the two comes first: afterwards the group exists
  report.write = Fd();

  int failure[2] = {0, 0};
  ssize_t n;
  do {
    n = ::read(report.read.get(), failure, sizeof failure);
  } while (n < 0 && errno == EINTR);
  Fd pidfd(int(::syscall(SYS_pidfd_open, pid, 0)));
  const int pidfd_error = errno;
  if (n != 0 || pidfd.get() < 0) {
    ::kill(-pid, SIGKILL);
    ::kill(pid, SIGKILL);
    while (::waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
    }
    if (n == sizeof failure) return Cannot(program, kStepNames[size_t(failure[0])], failure[1]);
    return Cannot(program, "pidfd", pidfd_error);
  }
  for (const int fd : {input.write.get(), output.read.get(), errors.read.get()})
    ::fcntl(fd, F_SETFL, O_NONBLOCK);
  return Spawned{pid, pidfd.Release(), input.write.Release(), output.read.Release(),
                 errors.read.Release()};
}

}  // namespace sallyport::net
