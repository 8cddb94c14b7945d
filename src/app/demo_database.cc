#include "app/demo_database.h"

#include <arpa/inet.h>
#include <charconv>
#include <chrono>
#include <cstdlib>
#include <fcntl.h>
#include <fstream>
#include <grp.h>
#include <netinet/in.h>
#include <pwd.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <vector>

#include "app/keys.h"

namespace sallyport::app {
namespace {

namespace fs = std::filesystem;

constexpr int kRows = 3000;

/// One statement with a blank line behind it each: how `postgres --single -j` tells them apart.
constexpr const char* kTable = R"(
SET ROLE sallyport_admin;

CREATE TABLE public.payments(
  id int PRIMARY KEY, customer text NOT NULL, card_number text NOT NULL, cvv text,
  amount numeric(12,2) NOT NULL, currency text NOT NULL, created_at timestamptz NOT NULL);

INSERT INTO public.payments
SELECT g, 'customer-' || lpad((g * 7919 % 997)::text, 4, '0'),
  (ARRAY['4111111111111111', '5555555555554444', '378282246310005', '6011111111111117',
         '4012888888881881', '3530111333300000', '2223003122003222', '30569309025904'])[g % 8 + 1],
  lpad((g * 7907 % 1000)::text, 3, '0'), (g * 104729 % 50000) / 100.0,
  CASE WHEN g % 3 = 0 THEN 'USD' ELSE 'EUR' END,
  timestamptz '2026-01-01 08:00:00+00' + g * interval '97 minutes'
FROM generate_series(1, @rows@) g;

CREATE INDEX ON public.payments(customer);

ANALYZE public.payments;

)";

constexpr const char* kRoles = R"(
CREATE ROLE sallyport_admin LOGIN CREATEROLE PASSWORD '@password@';

GRANT pg_signal_backend TO sallyport_admin;

CREATE DATABASE orders OWNER sallyport_admin;

REVOKE TEMPORARY ON DATABASE orders FROM PUBLIC;

)";

std::string Filled(std::string text, std::string_view name, std::string_view value) {
  for (size_t at; (at = text.find(name)) != std::string::npos;)
    text.replace(at, name.size(), value);
  return text;
}

bool HasServer(const fs::path& directory) {
  return access((directory / "initdb").c_str(), X_OK) == 0 &&
         access((directory / "postgres").c_str(), X_OK) == 0;
}

/// In a fresh child: another user, no blocked signals, an end with the parent. Only calls that are
/// safe after fork.
void BecomeServerProcess(uid_t uid, gid_t gid, bool change, int input, int output) {
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  setpgid(0, 0);  // Ctrl-C is for the gate; it stops this one itself
  if (change && (setgroups(0, nullptr) != 0 || setgid(gid) != 0 || setuid(uid) != 0)) _exit(126);
  prctl(PR_SET_PDEATHSIG, SIGQUIT);
  dup2(input, STDIN_FILENO);
  dup2(output, STDOUT_FILENO);
  dup2(output, STDERR_FILENO);
  if (chdir("/") != 0) _exit(126);
}

pid_t StartChild(const std::vector<std::string>& argv, uid_t uid, gid_t gid, bool change, int input,
                 int output) {
  std::vector<char*> pointers;
  for (const std::string& one : argv) pointers.push_back(const_cast<char*>(one.c_str()));
  pointers.push_back(nullptr);
  static char* const kEnvironment[] = {const_cast<char*>("LC_ALL=C"),
                                       const_cast<char*>("PATH=/usr/bin:/bin"), nullptr};
  const pid_t child = fork();
  if (child != 0) return child;
  BecomeServerProcess(uid, gid, change, input, output);
  execve(pointers[0], pointers.data(), kEnvironment);
  _exit(127);
}

/// The last lines of the log, for an error.
std::string Tail(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  std::string text((std::istreambuf_iterator<char>(in)), {});
  while (text.ends_with('\n')) text.pop_back();
  return text.size() > 300 ? text.substr(text.size() - 300) : text;
}

bool Answers(uint16_t port) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const bool open = connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
  close(fd);
  return open;
}

/// Waits for a child for so long: its status, or -1.
int WaitFor(pid_t child, std::chrono::milliseconds limit) {
  const auto end = std::chrono::steady_clock::now() + limit;
  int status = 0;
  while (waitpid(child, &status, WNOHANG) == 0) {
    if (std::chrono::steady_clock::now() > end) return -1;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return status;
}

}  // namespace

fs::path DemoDatabase::FindBinaries() {
  fs::path best;
  int newest = 0;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator("/usr/lib/postgresql", error)) {
    const std::string name = entry.path().filename();
    int version = 0;
    std::from_chars(name.data(), name.data() + name.size(), version);
    if (version <= newest || !HasServer(entry.path() / "bin")) continue;
    newest = version;
    best = entry.path() / "bin";
  }
  if (!best.empty()) return best;
  const char* path = std::getenv("PATH");
  std::string_view rest = path != nullptr ? path : "";
  while (!rest.empty()) {
    const fs::path directory = rest.substr(0, rest.find(':'));
    rest.remove_prefix(std::min(rest.size(), directory.string().size() + 1));
    if (!directory.empty() && HasServer(directory)) return directory;
  }
  return {};
}

Result<std::unique_ptr<DemoDatabase>> DemoDatabase::Start(const fs::path& binaries,
                                                          const fs::path& directory,
                                                          uint16_t port) {
  std::unique_ptr<DemoDatabase> self(new DemoDatabase);
  self->binaries_ = binaries;
  self->directory_ = directory;
  self->data_ = directory / "data";
  self->port_ = port;
  if (geteuid() == 0) {
    const passwd* entry = getpwnam("postgres");
    if (entry == nullptr) entry = getpwnam("nobody");
    if (entry == nullptr) return Fail(Errc::io_failed, "no user to run PostgreSQL as");
    self->user_ = {entry->pw_uid, entry->pw_gid, true};
  }
  std::error_code error;
  fs::create_directories(directory, error);
  fs::permissions(directory, fs::perms::owner_all, error);
  if (self->user_.change) {
    // The other user has to get through, not to look into, what is above.
    fs::permissions(directory.parent_path(), fs::perms::group_exec | fs::perms::others_exec,
                    fs::perm_options::add, error);
    if (chown(directory.c_str(), self->user_.uid, self->user_.gid) != 0)
      return Fail(Errc::io_failed, "cannot give " + directory.string() + " away");
  }
  self->password_file_ = directory.parent_path() / "postgres-credential";
  SALLYPORT_TRY(const Secret password, KeyFile(self->password_file_));
  if (!fs::exists(self->data_ / "PG_VERSION", error))
    SALLYPORT_CHECK(self->Create(std::string(password.Reveal())));
  SALLYPORT_CHECK(self->Serve());
  return self;
}

Result<> DemoDatabase::Create(const std::string& password) const {
  const fs::path log = directory_.parent_path() / "postgres.log";
  const int out = open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  const int in = open("/dev/null", O_RDONLY | O_CLOEXEC);
  const pid_t child = StartChild(
      {(binaries_ / "initdb").string(), "-D", data_.string(), "-U", "postgres", "--auth-local=peer",
       "--auth-host=scram-sha-256", "-E", "UTF8", "--locale=C", "--no-sync"},
      user_.uid, user_.gid, user_.change, in, out);
  const int status = WaitFor(child, std::chrono::seconds(60));
  close(in);
  close(out);
  if (status != 0) {
    const std::string way = user_.change ? " (PostgreSQL does not run as root; the user it runs as "
                                           "has to get through every folder of --state)"
                                         : "";
    return Fail(Errc::io_failed, "initdb failed" + way + ": " + Tail(log));
  }
  SALLYPORT_CHECK(Load("postgres", Filled(kRoles, "@password@", password)));
  return Load(kDatabase, Filled(kTable, "@rows@", std::to_string(kRows)));
}

Result<> DemoDatabase::Load(const std::string& database, const std::string& sql) const {
  const fs::path log = directory_.parent_path() / "postgres.log";
  int input[2];
  if (pipe2(input, O_CLOEXEC) != 0) return Fail(Errc::io_failed, "no pipe");
  const int out = open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  const pid_t child = StartChild({(binaries_ / "postgres").string(), "--single", "-j", "-F", "-c",
                                  "exit_on_error=true", "-D", data_.string(), database},
                                 user_.uid, user_.gid, user_.change, input[0], out);
  close(input[0]);
  close(out);
  // Less than a pipe holds, so this cannot wait for the child.
  const bool written = write(input[1], sql.data(), sql.size()) == static_cast<ssize_t>(sql.size());
  close(input[1]);
  const int status = WaitFor(child, std::chrono::seconds(60));
  if (!written || status != 0)
    return Fail(Errc::io_failed, "loading the demo data failed: " + Tail(log));
  return {};
}

Result<> DemoDatabase::Serve() {
  if (Answers(port_)) return Fail(Errc::io_failed, "port " + std::to_string(port_) + " is in use");
  const fs::path log = directory_.parent_path() / "postgres.log";
  const int out = open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  const int in = open("/dev/null", O_RDONLY | O_CLOEXEC);
  server_ = StartChild({(binaries_ / "postgres").string(), "-D", data_.string(), "-p",
                        std::to_string(port_), "-c", "listen_addresses=127.0.0.1", "-c",
                        "unix_socket_directories=", "-c", "fsync=off", "-c", "max_connections=200"},
                       user_.uid, user_.gid, user_.change, in, out);
  close(in);
  close(out);
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (!Answers(port_)) {
    int status = 0;
    if (waitpid(server_, &status, WNOHANG) != 0 || std::chrono::steady_clock::now() > end) {
      return Fail(Errc::io_failed, "PostgreSQL did not start: " + Tail(log));
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  return {};
}

DemoDatabase::~DemoDatabase() {
  if (server_ <= 0) return;
  kill(server_, SIGINT);  // fast shutdown: sessions end, what is written stays
  if (WaitFor(server_, std::chrono::seconds(5)) == -1) {
    kill(server_, SIGQUIT);
    (void)WaitFor(server_, std::chrono::seconds(5));
  }
}

}  // namespace sallyport::app
