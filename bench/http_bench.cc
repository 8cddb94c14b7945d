// The HTTP layer alone, to be put between load and responder.
// usage: http_bench serve [SHARDS]                 answers each request with 1 KB
//        http_bench proxy UPSTREAM_PORT [SHARDS]   forwards each request and its answer
//        http_bench idle CONNECTIONS               resident memory per idle connection
// serve and proxy print their port and run until killed.
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <string>
#include <sys/resource.h>
#include <thread>
#include <unistd.h>
#include <vector>

#include "net/event.h"
#include "net/http_client.h"
#include "net/http_server.h"
#include "net/shards.h"
#include "socket_for_bench.h"

namespace sallyport::net {
namespace {

std::string body_of_1k;
std::vector<std::unique_ptr<HttpClient>> clients;
Origin upstream;
const Shards* the_shards = nullptr;

boost::asio::awaitable<void> Serve(HttpExchange& exchange) {
  Headers headers{{"Content-Type", "application/json"}};
  std::string body = body_of_1k;
  (void)co_await exchange.Respond(200, std::move(headers), std::move(body));
}

boost::asio::awaitable<void> Proxy(HttpExchange& exchange) {
  const HttpRequest& request = exchange.request();
  HttpClient& client = *clients[the_shards->current()];
  Headers headers;
  if (const auto type = request.headers.Find("Content-Type"))
    headers.Add("Content-Type", std::string(*type));
  auto response = co_await client.Send(upstream, request.method, request.target, std::move(headers),
                                       request.body);
  Headers back;
  std::string body;
  int status = 502;
  if (response) {
    auto read = co_await (*response)->ReadAll(1 << 20);
    if (read) {
      status = (*response)->status();
      body = std::move(*read);
      if (const auto type = (*response)->headers().Find("Content-Type"))
        back.Add("Content-Type", std::string(*type));
    }
  }
  (void)co_await exchange.Respond(status, std::move(back), std::move(body));
}

std::unique_ptr<HttpServer> Listen(Shards& shards, HttpHandler handler) {
  HttpServer::Options options;
  options.address = "127.0.0.1:0";
  options.limits.connections = 1'000'000;
  options.handler = std::move(handler);
  auto server = HttpServer::Listen(shards, std::move(options));
  if (!server) {
    std::fprintf(stderr, "%s\n", server.error().detail.c_str());
    std::exit(1);
  }
  return std::move(*server);
}

int RunForever(size_t shard_count, HttpHandler handler) {
  Shards shards(shard_count);
  the_shards = &shards;
  for (size_t i = 0; i < shards.size(); ++i)
    clients.push_back(HttpClient::Make(shards.executor(i), {}));
  const auto server = Listen(shards, std::move(handler));
  shards.Start();
  std::printf("%u\n", unsigned(server->port()));
  std::fflush(stdout);
  for (;;) ::pause();
}

size_t ResidentBytes() {
  std::ifstream statm("/proc/self/statm");
  size_t total = 0, resident = 0;
  statm >> total >> resident;
  return resident * size_t(::sysconf(_SC_PAGESIZE));
}

/// Connections that have had one request each and now idle; the clients are in a child process.
int MeasureIdle(size_t count) {
  rlimit files{};
  ::getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &files);
  int port_pipe[2];
  if (::pipe(port_pipe) != 0) return 1;
  const pid_t child = ::fork();
  if (child == 0) {
    unsigned port = 0;
    if (::read(port_pipe[0], &port, sizeof port) != sizeof port) ::_exit(1);
    const std::string request = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
    std::vector<char> buffer(64 << 10);
    for (size_t i = 0; i < count; ++i) {
      const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
      const sockaddr_in to = bench::Address("127.0.0.1", uint16_t(port));
      if (fd < 0 || ::connect(fd, reinterpret_cast<const sockaddr*>(&to), sizeof to) != 0)
        bench::Die("connect");
      if (::send(fd, request.data(), request.size(), 0) < 0 ||
          ::recv(fd, buffer.data(), buffer.size(), 0) <= 0)
        bench::Die("request");
    }
    ::pause();
    ::_exit(0);
  }
  Shards shards(1);
  the_shards = &shards;
  const auto server = Listen(shards, Serve);
  shards.Start();
  const size_t before = ResidentBytes();
  const unsigned port = server->port();
  if (::write(port_pipe[1], &port, sizeof port) != sizeof port) return 1;
  while (server->connections() < count) std::this_thread::sleep_for(std::chrono::milliseconds(10));
  const size_t busy = ResidentBytes();
  std::this_thread::sleep_for(std::chrono::milliseconds(2500));
  const size_t idle = ResidentBytes();
  std::printf(
      "{\"connections\":%zu,\"rss_before\":%zu,\"rss_just_used\":%zu,\"rss_idle\":%zu,\"bytes_per_"
      "idle\":%zu}\n",
      count, before, busy, idle, (idle - before) / count);
  ::kill(child, SIGTERM);
  return 0;
}

}  // namespace
}  // namespace sallyport::net

int main(int argc, char** argv) {
  using namespace sallyport::net;
  const std::string mode = argc > 1 ? argv[1] : "";
  body_of_1k.assign(1024, 'x');
  if (mode == "serve") return RunForever(argc > 2 ? size_t(std::atoi(argv[2])) : 1, Serve);
  if (mode == "proxy" && argc > 2) {
    upstream = Origin{false, "127.0.0.1", uint16_t(std::atoi(argv[2]))};
    return RunForever(argc > 3 ? size_t(std::atoi(argv[3])) : 1, Proxy);
  }
  if (mode == "idle" && argc > 2) return MeasureIdle(size_t(std::atoll(argv[2])));
  std::fprintf(
      stderr,
      "usage: http_bench serve [SHARDS] | proxy UPSTREAM_PORT [SHARDS] | idle CONNECTIONS\n");
  return 2;
}
