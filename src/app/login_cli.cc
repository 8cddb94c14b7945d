// `sallyport login`: the browser is sent to the gate, which sends a code to this program on
// loopback (RFC 8252); the program redeems it with a verifier that nobody else has (RFC 7636).
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <nlohmann/json.hpp>
#include <optional>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "api/form.h"
#include "api/logins.h"
#include "app/exit_code.h"
#include "app/login_device.h"
#include "app/session_file.h"
#include "app/verbs.h"
#include "base/ids.h"
#include "config/units.h"
#include "net/fetch.h"
#include "net/http_server.h"
#include "net/shards.h"
#include "obs/log.h"
#include "policy/grant.h"

extern char** environ;

namespace sallyport::app {
namespace {

using nlohmann::ordered_json;

constexpr std::chrono::minutes kWaitForBrowser{5};

int Complain(const std::string& what, int code) {
  std::fprintf(stderr, "sallyport login: %s\n", what.c_str());
  return code;
}

/// Waits on loopback for the browser to bring the code.
class Callback {
 public:
  explicit Callback(std::string state) : state_(std::move(state)) {}

  Result<uint16_t> Listen() {
    net::HttpServer::Options options;
    options.address = "127.0.0.1:0";
    options.handler = [this](net::HttpExchange& exchange) { return Serve(*this, exchange); };
    SALLYPORT_TRY(server_, net::HttpServer::Listen(shards_, std::move(options)));
    shards_.Start();
    return server_->port();
  }
  std::optional<std::string> Wait() {
    std::unique_lock lock(mutex_);
    arrived_.wait_for(lock, kWaitForBrowser, [this] { return code_.has_value(); });
    return code_;
  }
  void Stop() {
    std::this_thread::sleep_for(std::chrono::milliseconds(200));  // the page is on its way
    server_.reset();
    shards_.Stop();
  }

 private:
  static boost::asio::awaitable<void> Serve(Callback& self, net::HttpExchange& exchange) {
    const net::HttpRequest& request = exchange.request();
    const api::Form query(request.query());
    const bool ours =
        request.path() == "/callback" && query.Find("state") == self.state_ && query.Find("code");
    net::Headers headers{{"Content-Type", "text/html; charset=utf-8"},
                         {"Cache-Control", "no-store"},
                         {"Content-Security-Policy", "default-src 'none'"},
                         {"Referrer-Policy", "no-referrer"}};
    (void)co_await exchange.Respond(
        ours ? 200 : 400, std::move(headers),
        ours ? "<!doctype html><title>sallyport</title><h1>You are signed in</h1><p>You can close "
               "this page and go back to the command line.</p>"
             : "<!doctype html><title>sallyport</title><h1>This is not the login that was begun "
               "here</h1>");
    if (!ours) co_return;
    const std::lock_guard lock(self.mutex_);
    if (!self.code_) self.code_ = query.Get("code");
    self.arrived_.notify_all();
  }

  const std::string state_;
  net::Shards shards_{1};
  std::unique_ptr<net::HttpServer> server_;
  std::mutex mutex_;
  std::condition_variable arrived_;
  std::optional<std::string> code_;
};

/// Starts the person's browser; false where there is none to be seen.
bool OpenBrowser(const std::string& url) {
  const bool screen =
      std::getenv("DISPLAY") != nullptr || std::getenv("WAYLAND_DISPLAY") != nullptr;
  const char* set = std::getenv("BROWSER");
  std::string program = set != nullptr ? set : "xdg-open";
  if (!screen && set == nullptr) return false;
  std::string argument = url;
  char* argv[] = {program.data(), argument.data(), nullptr};
  pid_t pid = 0;
  if (posix_spawnp(&pid, program.c_str(), nullptr, nullptr, argv, environ) != 0) return false;
  int status = 0;
  return waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

std::string HostName() {
  char name[64] = {};
  gethostname(name, sizeof name - 1);
  std::string out;
  for (const char c : std::string_view(name)) {
    if (std::isalnum(static_cast<unsigned char>(c)) || c == '-' || c == '_') out += c;
  }
  return out;
}

/// The limits as a query, or what is wrong with them.
Result<std::string> LimitsOf(const LoginOptions& options) {
  std::string query, only;
  for (const std::string& limit : options.only) {
    if (limit.find('\n') != std::string::npos)
      return Fail(Errc::request_malformed, "--only: a limit is one line");
    only += (only.empty() ? "" : "\n") + limit;
  }
  if (!options.only.empty()) {
    if (const auto read = policy::Grant::Parse(only); !read)
      return Fail(Errc::request_malformed, "--only: " + read.error().detail);
    query += "&only=" + api::PercentEncode(only);
  }
  if (!options.lasts.empty()) {
    const auto lasts = config::ParseDuration(options.lasts);
    if (!lasts || *lasts < std::chrono::seconds(1) || *lasts > std::chrono::hours(31 * 24))
      return Fail(Errc::request_malformed, "--for: write a duration like 30m or 2h");
    query += "&for=" + std::to_string(lasts->count() / 1000);
  }
  if (!options.reason.empty()) query += "&reason=" + api::PercentEncode(options.reason);
  return query;
}

Result<ordered_json> Redeem(const std::string& server, const std::string& ca,
                            const std::string& code, const std::string& verifier) {
  FetchRequest request;
  request.url = server + "/api/v1/token";
  request.method = "POST";
  request.headers = {{"Content-Type", "application/json"}, {"Accept", "application/json"}};
  request.body = ordered_json{{"code", code}, {"verifier", verifier}}.dump();
  request.ca_file = ca;
  // A person named this address: a gate inside the house is where gates are.
  request.allow_addresses = {"0.0.0.0/0", "::/0"};
  request.allow_loopback_http = true;
  request.timeout = std::chrono::seconds(20);
  SALLYPORT_TRY(const FetchResponse answer, net::FetchUrl(request));
  ordered_json body = ordered_json::parse(answer.body, nullptr, false);
  if (answer.status != 200 || !body.is_object() || !body["token"].is_string())
    return Fail(Errc::token_missing, "the gate did not take the login");
  return body;
}

/// With the browser of this machine.
std::expected<ordered_json, int> LoginByBrowser(const LoginOptions& options,
                                                const std::string& server,
                                                const std::string& limits) {
  const std::string verifier = NewHandle(48), state = NewHandle(16);
  const std::string challenge = api::Challenge(verifier);
  Callback callback(state);
  const auto port = callback.Listen();
  if (!port) return std::unexpected(Complain(port.error().detail, kFailed));
  const std::string url = server + "/login/cli?port=" + std::to_string(*port) +
                          "&challenge=" + challenge + "&state=" + state + "&host=" + HostName() +
                          limits;
  const bool opened = !options.no_browser && OpenBrowser(url);
  std::fprintf(stderr, "%s\n  %s\nThe page shows: %s\n",
               opened ? "Your browser has been sent to" : "Open this page in your browser:",
               url.c_str(), challenge.substr(0, 6).c_str());
  const auto code = callback.Wait();
  callback.Stop();
  if (!code)
    return std::unexpected(Complain("nobody has signed in within five minutes", kUnreachable));
  auto redeemed = Redeem(server, options.ca, *code, verifier);
  if (!redeemed) return std::unexpected(Complain(redeemed.error().detail, kUnreachable));
  return std::move(*redeemed);
}

}  // namespace

int RunLogin(const LoginOptions& options) {
  obs::SetLevel("error");
  std::string server = options.server;
  if (const char* set = std::getenv("SALLYPORT_SERVER"); server.empty() && set != nullptr)
    server = set;
  while (server.ends_with('/')) server.pop_back();
  if (server.empty()) return Complain("which gate? give --server URL", kUsage);
  // The page where a code is typed shows no limits.
  if (options.device && (!options.only.empty() || !options.lasts.empty()))
    return Complain("--only and --for do not go with --device", kUsage);
  const auto limits = LimitsOf(options);
  if (!limits) return Complain(limits.error().detail, kUsage);
  const auto given = options.device ? LoginByDevice(options, server, HostName())
                                    : LoginByBrowser(options, server, *limits);
  if (!given) return given.error();
  // A gate that does not know limits would give a session without.
  if (!options.only.empty() && given->value("scope", "").empty())
    return Complain("the gate did not limit the session, which is not kept", kFailed);
  KeptSession kept{.server = server,
                   .token = (*given)["token"],
                   .session = given->value("session", ""),
                   .expires_at = given->value("expires_at", ""),
                   .ca = options.ca};
  if (const auto written = KeepSession(kept); !written)
    return Complain(written.error().detail, kFailed);
  if (options.json) {
    const ordered_json line{{"v", 1},
                            {"server", kept.server},
                            {"session", kept.session},
                            {"expires_at", kept.expires_at},
                            {"file", SessionFile().string()}};
    std::printf("%s\n", line.dump().c_str());
  } else {
    std::printf("Signed in at %s until %s (session %s).\n", server.c_str(), kept.expires_at.c_str(),
                kept.session.c_str());
  }
  return kOk;
}

}  // namespace sallyport::app
