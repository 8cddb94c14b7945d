#include "app/login_device.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <thread>

#include "app/exit_code.h"
#include "app/gate_client.h"
#include "ledger/render.h"
#include "net/fetch.h"

namespace sallyport::app {
namespace {

using nlohmann::ordered_json;
using std::chrono::seconds;

constexpr seconds kSlower{5};        // what the gate adds when it was asked too soon (RFC 8628 3.5)
constexpr seconds kMostBetween{60};  // between attempts while the gate does not answer

Result<GateAnswer> Ask(const LoginOptions& options, const std::string& url,
                       const ordered_json& body) {
  FetchRequest request;
  request.url = url;
  request.method = "POST";
  request.headers = {{"Content-Type", "application/json"},
                     {"Accept", "application/json"},
                     {"User-Agent", "sallyport/" SALLYPORT_VERSION}};
  request.body = body.dump(-1, ' ', false, ordered_json::error_handler_t::replace);
  request.ca_file = options.ca;
  // A person named this address: a gate inside the house is where gates are.
  request.allow_addresses = {"0.0.0.0/0", "::/0"};
  request.allow_loopback_http = true;
  request.timeout = seconds(20);
  SALLYPORT_TRY(const FetchResponse answer, net::FetchUrl(request));
  GateAnswer out{.status = answer.status, .body = ordered_json::parse(answer.body, nullptr, false)};
  if (!out.body.is_object()) out.body = ordered_json::object();
  return out;
}

std::string Text(const ordered_json& object, const char* name) {
  const auto at = object.find(name);
  return at != object.end() && at->is_string() ? at->get<std::string>() : std::string();
}

seconds Seconds(const ordered_json& object, const char* name, seconds otherwise) {
  const auto at = object.find(name);
  if (at == object.end() || !at->is_number_integer()) return otherwise;
  return seconds(std::clamp<int64_t>(at->get<int64_t>(), 1, 3600));
}

int Complain(const std::string& what, const std::string& code, int exit_code) {
  std::fprintf(stderr, "sallyport login: %s%s\n", ledger::Printable(what).c_str(),
               code.empty() ? "" : (" (" + ledger::Printable(code) + ")").c_str());
  return exit_code;
}

/// What a refusal means for who waits; nullopt: go on waiting.
std::optional<int> Over(const GateAnswer& answer) {
  const std::string code = Text(answer.body, "code");
  if (code == "login-pending" || code == "login-slow-down") return std::nullopt;
  if (code == "login-denied") return Complain("it was refused in the browser", code, kNegative);
  if (code == "login-expired")
    return Complain("nobody has confirmed the code in time", code, kUnreachable);
  if (code == "login-code-unknown") {
    return Complain(
        "the gate knows nothing of this login any more (was it restarted?): begin again", code,
        kFailed);
  }
  return Complain(Text(answer.body, "detail"), code, kFailed);
}

}  // namespace

std::expected<ordered_json, int> LoginByDevice(const LoginOptions& options,
                                               const std::string& server, const std::string& host) {
  const auto begun =
      Ask(options, server + "/api/v1/device", {{"host", host}, {"reason", options.reason}});
  if (!begun) return std::unexpected(Complain(begun.error().detail, "", kUnreachable));
  const std::string device_code = Text(begun->body, "device_code");
  if (!begun->ok() || device_code.empty()) {
    return std::unexpected(
        Complain(begun->ok() ? "this gate knows no login by device" : Text(begun->body, "detail"),
                 Text(begun->body, "code"), kFailed));
  }
  const auto until =
      std::chrono::steady_clock::now() + Seconds(begun->body, "expires_in", seconds(600));
  seconds interval = Seconds(begun->body, "interval", seconds(5));
  std::fprintf(stderr,
               "Open this page in a browser on any device:\n  %s\nand type the code:\n  %s\n"
               "Give it to nobody: who types it lets this program work in their name.\n",
               ledger::Printable(Text(begun->body, "verification_uri")).c_str(),
               ledger::Printable(Text(begun->body, "user_code")).c_str());
  seconds wait = interval;
  while (std::chrono::steady_clock::now() < until) {
    std::this_thread::sleep_for(wait);
    const auto answer =
        Ask(options, server + "/api/v1/device/token", {{"device_code", device_code}});
    if (!answer || answer->status >= 500) {
      wait = std::min(wait * 2, kMostBetween);
      continue;
    }
    if (answer->ok() && !Text(answer->body, "token").empty()) return answer->body;
    if (const auto over = Over(*answer)) return std::unexpected(*over);
    if (Text(answer->body, "code") == "login-slow-down") interval += kSlower;
    wait = interval;
  }
  return std::unexpected(
      Complain("nobody has confirmed the code in time", "login-expired", kUnreachable));
}

}  // namespace sallyport::app
