#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <unistd.h>

#include "app/demo_config.h"
#include "app/demo_database.h"
#include "app/demo_issuer.h"
#include "app/demo_mcp_server.h"
#include "app/exit_code.h"
#include "app/first_screen.h"
#include "app/gateway.h"
#include "app/keys.h"
#include "app/signals.h"
#include "app/verbs.h"
#include "base/ids.h"
#include "net/shards.h"
#include "obs/log.h"

namespace sallyport::app {
namespace {

namespace fs = std::filesystem;

/// The directory of this run: given and kept, or made and removed.
class StateDir {
 public:
  explicit StateDir(const std::string& given) : keep_(!given.empty()) {
    if (keep_) {
      path_ = fs::absolute(given);
      fs::create_directories(path_);
      return;
    }
    std::string name = (fs::temp_directory_path() / "sallyport-dev-XXXXXX").string();
    if (mkdtemp(name.data()) == nullptr)
      throw std::runtime_error("cannot make a directory for the state of this run");
    path_ = name;
  }
  ~StateDir() {
    std::error_code error;
    if (!keep_) fs::remove_all(path_, error);
  }
  StateDir(const StateDir&) = delete;
  const fs::path& path() const { return path_; }

 private:
  bool keep_;
  fs::path path_;
};

std::string ReadyLine(const DemoIssuer& issuer, const DemoPorts& ports, const StateDir& state,
                      const std::string& config, const std::string& vkey, bool database) {
  const std::string base = "http://127.0.0.1:" + std::to_string(ports.gate);
  nlohmann::ordered_json tokens;
  for (const DemoIssuer::Caller& caller : DemoIssuer::Callers()) {
    const Result<std::string> token = issuer.Token(caller.name);
    tokens[caller.name] = token ? *token : "";
  }
  nlohmann::ordered_json postgres;
  if (database)
    postgres = {{"host", "127.0.0.1"}, {"port", ports.postgres}, {"database", "orders-db"}};
  const nlohmann::ordered_json line{{"public_url", base},
                                    {"mcp", {{"payments", base + "/mcp/payments"}}},
                                    {"postgres", postgres},
                                    {"issuer", issuer.issuer()},
                                    {"token_endpoint", issuer.token_endpoint()},
                                    {"ops", "http://127.0.0.1:" + std::to_string(ports.ops)},
                                    {"state_dir", state.path().string()},
                                    {"data_dir", (state.path() / "data").string()},
                                    {"ca", nullptr},
                                    {"config", config},
                                    {"vkey", vkey},
                                    {"tokens", tokens}};
  return line.dump();
}

int Sorry(const char* what, const Error& error) {
  std::fprintf(stderr, "sallyport dev: %s: %s (%s)\n", what, error.detail.c_str(),
               std::string(ReasonCode(error.code)).c_str());
  return kFailed;
}

/// The demo database, or null with a note on standard error: everything else works without.
std::unique_ptr<DemoDatabase> StartDatabase(const StateDir& state, const DemoPorts& ports,
                                            fs::path& binaries) {
  binaries = DemoDatabase::FindBinaries();
  if (binaries.empty()) {
    std::fprintf(stderr,
                 "sallyport dev: no PostgreSQL here, so no demo database (Debian: apt-get install "
                 "postgresql)\n");
    return nullptr;
  }
  auto database = DemoDatabase::Start(binaries, state.path() / "postgres", ports.database);
  if (database) return std::move(*database);
  std::fprintf(stderr, "sallyport dev: no demo database: %s\n", database.error().detail.c_str());
  return nullptr;
}

void WaitForTheEnd(Gateway& gateway) {
  for (;;) {
    const int signal = NextSignal(std::chrono::seconds(1));
    if (signal == SIGTERM || signal == SIGINT) return;
    if (signal == SIGHUP) (void)gateway.Reload();  // it logs and records a refusal itself
    gateway.Tick();
  }
}

}  // namespace

int RunDev(const DevOptions& options) {
  BlockSignals();
  if (!options.json) obs::SetLevel("warn");  // the screen is for people
  const DemoPorts ports = DemoPorts::From(options.port_base);
  const StateDir state(options.state);
  const std::string audience = "http://127.0.0.1:" + std::to_string(ports.gate);

  // The parts around the gate live on a shard of their own.
  net::Shards shards(1);
  auto issuer = DemoIssuer::Start(shards, ports.issuer, audience);
  if (!issuer) return Sorry("its own OIDC issuer", issuer.error());
  const fs::path credential_file = state.path() / "payments-credential";
  const Result<Secret> credential = KeyFile(credential_file);
  if (!credential) return Sorry("the demo server's credential", credential.error());
  auto payments = DemoMcpServer::Start(shards, ports.payments, std::string(credential->Reveal()));
  if (!payments) return Sorry("the demo MCP server", payments.error());
  if (const Result<Secret> kek = KeyFile(state.path() / "recordings.kek"); !kek)
    return Sorry("the key of its recordings", kek.error());
  fs::path binaries;
  const std::unique_ptr<DemoDatabase> database = StartDatabase(state, ports, binaries);
  shards.Start();

  const fs::path config = state.path() / "sallyport.yaml";
  const Result<> written =
      WritePrivate(config, DemoConfig(ports, state.path(), (*issuer)->issuer(), credential_file,
                                      database ? database->password_file() : fs::path()));
  if (!written) return Sorry("its configuration", written.error());
  int exit_code = kOk;
  Result<config::Root> root = LoadOrExplain(config.string(), exit_code);
  if (!root) return exit_code;
  auto gateway = Gateway::Start(std::move(*root));
  if (!gateway) return Sorry("the gate", gateway.error());

  if (options.json) {
    std::printf("%s\n", ReadyLine(**issuer, ports, state, config.string(), (*gateway)->vkey(),
                                  database != nullptr)
                            .c_str());
    std::fflush(stdout);
  } else {
    FirstScreen screen(**issuer,
                       {.mcp_url = audience + "/mcp/payments",
                        .data_dir = (state.path() / "data").string(),
                        .vkey = (*gateway)->vkey(),
                        .config = config.string(),
                        .ops = "http://127.0.0.1:" + std::to_string(ports.ops),
                        .psql = database ? (binaries / "psql").string() : "",
                        .postgres_port = ports.postgres},
                       shards.executor(0));
    if (const Result<> shown = screen.Show(); !shown)
      return Sorry("the first screen", shown.error());
  }
  WaitForTheEnd(**gateway);
  (*gateway)->Stop(std::chrono::seconds(5));
  return kOk;
}

}  // namespace sallyport::app
