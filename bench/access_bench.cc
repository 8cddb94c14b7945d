// What it costs to ask whether a session is good: once per request of a client.
#include <benchmark/benchmark.h>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>

#include "access/sessions.h"
#include "access/store_memory.h"

namespace sallyport::access {
namespace {

struct Held {
  std::unique_ptr<Sessions> sessions;
  std::vector<std::string> tokens;

  explicit Held(size_t n) {
    sessions = Sessions::Make({}, std::make_shared<MemoryStore>(), SystemClock());
    boost::asio::io_context io(1);
    for (size_t i = 0; i < n; ++i) {
      op::Principal who;
      who.issuer = "https://login.example.com/realms/corp";
      who.subject = "user-" + std::to_string(i);
      boost::asio::co_spawn(
          io,
          sessions->Open({.who = who, .kind = "cli", .authenticated_at = SystemClock().WallNow()}),
          [&](std::exception_ptr, Result<Opened> opened) { tokens.push_back(opened->token); });
      io.run();
      io.restart();
    }
  }
};

void BM_Check(benchmark::State& state) {
  static Held held(2'000);
  size_t i = 0;
  for (auto _ : state) {
    auto live = held.sessions->Check(held.tokens[i++ % held.tokens.size()]);
    benchmark::DoNotOptimize(live);
  }
}
BENCHMARK(BM_Check)->Threads(1)->Threads(2);

void BM_Work(benchmark::State& state) {
  static Held held(1);
  const LivePtr live = *held.sessions->Check(held.tokens[0]);
  for (auto _ : state) {
    auto work = Work::Begin(live);
    benchmark::DoNotOptimize(work);
  }
}
BENCHMARK(BM_Work);

void BM_RevokedWithThousandRevocations(benchmark::State& state) {
  static Held held(1);
  boost::asio::io_context io(1);
  for (int i = 0; i < 1'000; ++i)
    boost::asio::co_spawn(io,
                          held.sessions->Revoke({.issuer = "https://login.example.com/realms/corp",
                                                 .subject = "gone-" + std::to_string(i)},
                                                "bench", ""),
                          [](std::exception_ptr, Result<size_t>) {});
  io.run();
  op::Principal who;
  who.issuer = "https://login.example.com/realms/corp";
  who.subject = "user-1";
  for (auto _ : state) benchmark::DoNotOptimize(held.sessions->Revoked(who, 1));
}
BENCHMARK(BM_RevokedWithThousandRevocations);

}  // namespace
}  // namespace sallyport::access
