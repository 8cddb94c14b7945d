#include "app/connect_gate.h"

#include <cstdlib>

#include "app/mcp_clients.h"
#include "app/session_file.h"
#include "config/units.h"
#include "net/event.h"
#include "secrets/source.h"

namespace sallyport::app {
namespace {

constexpr std::chrono::milliseconds kTryFor(5'000), kPause(250);
constexpr uint64_t kMessageBytes = 64u << 20;

std::string Environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

}  // namespace

GateLink::GateLink(boost::asio::any_io_executor executor, AtGate options, std::string connection)
    : executor_(std::move(executor)),
      options_(std::move(options)),
      connection_(std::move(connection)) {}

Result<GateLink::Target> GateLink::Find() {
  Target target;
  const KeptSession kept = ReadSession().value_or(KeptSession{});
  target.server = options_.server;
  if (target.server.empty()) target.server = Environment("SALLYPORT_SERVER");
  if (target.server.empty()) target.server = kept.server;
  while (target.server.ends_with('/')) target.server.pop_back();
  if (target.server.empty()) {
    return Fail(Errc::token_missing,
                "nobody is signed in: run `sallyport login --server URL` in a terminal");
  }
  server_ = target.server;
  SALLYPORT_TRY(target.url, net::ParseUrl(target.server + "/mcp/" + connection_));
  const auto place = config::ParseUrl(target.server);
  if (!place || (!place->https && !place->loopback)) {
    return Fail(Errc::config_invalid,
                target.server + ": a token is sent by https only, or to this machine itself");
  }
  target.ca = !options_.ca.empty() ? options_.ca : kept.server == target.server ? kept.ca : "";
  if (!options_.token_file.empty()) {
    SALLYPORT_TRY(target.token, secrets::Resolve({.kind = secrets::Ref::Kind::file,
                                                  .name = options_.token_file}));
  } else if (std::string token = Environment("SALLYPORT_TOKEN"); !token.empty()) {
    target.token = Secret(std::move(token));
  } else if (kept.server == target.server && !kept.token.empty()) {
    target.token = Secret(kept.token);
  } else {
    return Fail(Errc::token_missing, SignIn("token-missing"));
  }
  return target;
}

std::string GateLink::LoginCommand() const {
  if (!options_.token_file.empty() || !Environment("SALLYPORT_TOKEN").empty()) return {};
  return "sallyport login --server " + ShellWord(server_);
}

std::string GateLink::SignIn(std::string_view reason) const {
  std::string out = "not signed in at " + server_ + " (" + std::string(reason) + "): ";
  if (const std::string command = LoginCommand(); !command.empty()) {
    return out + "run `" + command + "` in a terminal; then this connection goes on by itself";
  }
  if (!options_.token_file.empty())
    return out + "put a token that is good into " + options_.token_file;
  return out + "start this again with a token that is good in SALLYPORT_TOKEN";
}

net::HttpClient& GateLink::ClientFor(const std::string& ca) {
  auto& client = clients_[ca];
  if (!client) {
    net::HttpClient::Options options;
    options.ca_file = ca;
    // A call may wait for an approval, or for a slow server: the gate knows how long.
    options.limits.head_timeout = std::chrono::minutes(30);
    client = net::HttpClient::Make(executor_, std::move(options));
  }
  return *client;
}

Task<std::unique_ptr<mcp::HttpReply>> GateLink::Send(std::string method, net::Headers headers,
                                                     std::string body) {
  const auto until = std::chrono::steady_clock::now() + kTryFor;
  while (true) {
    SALLYPORT_CO_TRY(const Target target, Find());
    net::Headers sent = headers;
    sent.Add("Authorization", "Bearer " + std::string(target.token.Reveal()));
    auto response = co_await ClientFor(target.ca).Send(target.url.origin, method, target.url.target,
                                                       std::move(sent), body);
    if (response) co_return std::make_unique<mcp::HttpReply>(std::move(*response), kMessageBytes);
    if (response.error().code != Errc::upstream_unreachable ||
        std::chrono::steady_clock::now() >= until)
      co_return std::unexpected(response.error());
    SALLYPORT_CO_CHECK(co_await net::Sleep(kPause));
  }
}

}  // namespace sallyport::app
