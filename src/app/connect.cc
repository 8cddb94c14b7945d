// `sallyport connect CONNECTION`: an MCP client starts it and speaks stdio; it speaks to the gate.
// Standard output carries the protocol and nothing else.
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <future>
#include <thread>
#include <unistd.h>

#include "app/connect_bridge.h"
#include "app/connect_lines.h"
#include "app/exit_code.h"
#include "app/mcp_clients.h"
#include "app/signals.h"
#include "app/verbs.h"
#include "net/shards.h"
#include "obs/log.h"

namespace sallyport::app {
namespace {

constexpr std::chrono::seconds kEndLimit{2};
constexpr std::chrono::hours kLong{24};

}  // namespace

int RunConnect(const ConnectOptions& options) {
  obs::SetLevel("error");
  if (!IsConnectionName(options.connection)) {
    std::fprintf(stderr, "sallyport connect: not the name of a connection\n");
    return kUsage;
  }
  KeepMemoryPrivate();
  BlockSignals();
  net::Shards shards(1);
  shards.Start();
  const auto executor = shards.executor(0);
  // Shared with the thread that reads, which may be in a read when everything else is over.
  const auto reader = std::make_shared<LineReader>(STDIN_FILENO);
  const auto stop = [] { kill(getpid(), SIGTERM); };
  const auto bridge = std::make_shared<ConnectBridge>(
      executor, options.gate, options.connection, [reader](size_t bytes) { reader->Done(bytes); },
      stop);
  net::Post(executor, [executor, bridge, stop] {
    net::Spawn(executor,
               [](std::shared_ptr<ConnectBridge> b,
                  std::function<void()> then) -> boost::asio::awaitable<void> {
                 co_await b->Run();
                 then();
               }(bridge, stop));
  });
  std::thread([reader, bridge, executor] {
    reader->Run(
        [&](std::string line) {
          net::Post(executor,
                    [bridge, text = std::move(line)]() mutable { bridge->Line(std::move(text)); });
        },
        [&] { net::Post(executor, [bridge] { bridge->TooLong(); }); });
    net::Post(executor, [bridge] { bridge->End(); });
  }).detach();

  while (NextSignal(kLong) == 0) {
  }
  const auto closed = std::make_shared<std::promise<void>>();
  net::Post(executor, [executor, bridge, closed] {
    net::Spawn(executor,
               [](std::shared_ptr<ConnectBridge> b,
                  std::shared_ptr<std::promise<void>> done) -> boost::asio::awaitable<void> {
                 (void)co_await b->Close();
                 done->set_value();
               }(bridge, closed));
  });
  closed->get_future().wait_for(kEndLimit);
  // The other thread may stand in a read or a write of a client that does nothing any more.
  std::_Exit(kOk);
}

}  // namespace sallyport::app
