#include "app/ops.h"

#include <algorithm>

#include "obs/metrics.h"

namespace sallyport::app {
namespace {

using Checks = std::function<std::vector<ReadyCheck>()>;

std::string Verbose(const std::vector<ReadyCheck>& checks) {
  std::string text;
  for (const ReadyCheck& check : checks) {
    text += (check.ok ? "ok   " : "FAIL ") + check.name;
    if (!check.detail.empty()) text += ": " + check.detail;
    text += '\n';
  }
  return text;
}

boost::asio::awaitable<void> Answer(std::shared_ptr<const Checks> checks,
                                    net::HttpExchange& exchange) {
  const net::HttpRequest& request = exchange.request();
  int status = 200;
  std::string body;
  if (request.method != "GET" && request.method != "HEAD") {
    status = 405;
    body = "GET only\n";
  } else if (request.path() == "/livez") {
    body = "ok\n";
  } else if (request.path() == "/readyz") {
    const std::vector<ReadyCheck> state = (*checks)();
    const bool ready =
        std::all_of(state.begin(), state.end(), [](const ReadyCheck& c) { return c.ok || c.alarm_only; });
    status = ready ? 200 : 503;
    body = ready && request.query() != "verbose" ? "ok\n" : Verbose(state);
  } else if (request.path() == "/metrics") {
    body = obs::Metrics().Exposition();
  } else {
    status = 404;
    body = "/livez /readyz /metrics\n";
  }
  net::Headers headers{{"Content-Type", "text/plain; version=0.0.4; charset=utf-8"},
                       {"Cache-Control", "no-store"}};
  if (request.method == "HEAD") body.clear();
  (void)co_await exchange.Respond(status, std::move(headers), std::move(body));
}

}  // namespace

Result<std::unique_ptr<net::HttpServer>> ListenOps(
    net::Shards& shards, const std::string& address,
    std::function<std::vector<ReadyCheck>()> checks) {
  net::HttpServer::Options options;
  options.address = address;
  options.handler = [shared = std::make_shared<const Checks>(std::move(checks))](
                        net::HttpExchange& exchange) { return Answer(shared, exchange); };
  return net::HttpServer::Listen(shards, std::move(options));
}

}  // namespace sallyport::app
