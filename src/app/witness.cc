#include "witness/witness.h"

#include <csignal>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "app/exit_code.h"
#include "app/keys.h"
#include "app/signals.h"
#include "app/verbs.h"
#include "net/http_server.h"
#include "net/shards.h"
#include "witness/submission.h"

namespace sallyport::app {
namespace {

using witness::Witness;

int Sorry(const Error& error) {
  std::fprintf(stderr, "sallyport witness: %s (%s)\n", error.detail.c_str(),
               std::string(ReasonCode(error.code)).c_str());
  return kFailed;
}

/// The key of this witness, made at the first start.
Result<Secret> OwnKey(const WitnessOptions& options) {
  const std::filesystem::path dir(options.state);
  std::error_code error;
  std::filesystem::create_directories(dir, error);
  if (error) return Fail(Errc::io_failed, "cannot make " + options.state + ": " + error.message());
  return SigningKeyFile(dir / "witness-ed25519.key");
}

boost::asio::awaitable<void> Serve(Witness& witness, net::HttpExchange& exchange) {
  const net::HttpRequest& request = exchange.request();
  constexpr std::string_view kHead = "/checkpoint";
  const std::string_view path = request.path();
  Witness::Answer answer{.status = 404, .body = "not found\n"};
  if (path == "/add-checkpoint") {
    answer = request.method == "POST" ? witness.AddCheckpoint(request.body)
                                      : Witness::Answer{.status = 405, .body = "POST only\n"};
  } else if (request.method == "GET" && path.ends_with(kHead)) {
    answer = witness.Head(path.substr(1, path.size() - 1 - kHead.size()));
  }
  (void)co_await exchange.Respond(
      answer.status, {{"Content-Type", answer.content_type}, {"Cache-Control", "no-store"}},
      std::move(answer.body));
}

}  // namespace

int RunWitness(const WitnessOptions& options) {
  BlockSignals();
  auto key = OwnKey(options);
  if (!key) return Sorry(key.error());
  auto witness = Witness::Open(
      {.dir = options.state, .name = options.name, .key = std::move(*key), .logs = options.logs});
  if (!witness) return Sorry(witness.error());
  net::HttpServer::Options server;
  server.address = options.listen;
  server.limits.body_bytes = witness::kMaxSubmissionBytes;
  server.handler = [&w = **witness](net::HttpExchange& exchange) { return Serve(w, exchange); };
  if (!options.cert.empty()) {
    auto tls = net::TlsServer::Make(
        {.certificate_file = options.cert, .key_file = options.key, .client_ca_file = {}});
    if (!tls) return Sorry(tls.error());
    server.tls = *tls;
  }
  net::Shards shards(1);
  auto listener = net::HttpServer::Listen(shards, std::move(server));
  if (!listener) return Sorry(listener.error());
  shards.Start();
  if (options.json) {
    const nlohmann::json ready{{"port", (*listener)->port()}, {"key", (*witness)->vkey()}};
    std::printf("%s\n", ready.dump().c_str());
  } else {
    std::printf("listening on %s\nkey %s\n", options.listen.c_str(), (*witness)->vkey().c_str());
  }
  std::fflush(stdout);
  NotifyManager("READY=1");
  for (int signal = 0; signal != SIGTERM && signal != SIGINT;)
    signal = NextSignal(std::chrono::seconds(60));
  NotifyManager("STOPPING=1");
  (*listener)->Drain();
  listener->reset();
  shards.Stop();
  return kOk;
}

}  // namespace sallyport::app
