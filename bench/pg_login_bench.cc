// What a role for each session costs: Borrow() and the login with it, against a login as a trusted
// user. Arguments: port [database [admin [grant…]]] of a server on 127.0.0.1 that trusts the admin
// and asks others for SCRAM. Prints medians and 90th percentiles in milliseconds, of interleaved
// pairs.

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/use_future.hpp>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <thread>
#include <vector>

#include "net/event.h"
#include "net/shards.h"
#include "pg/credentials.h"

namespace sallyport::pg {
namespace {

using Clock = std::chrono::steady_clock;

double Since(Clock::time_point began) {
  return std::chrono::duration<double, std::milli>(Clock::now() - began).count();
}

struct Figures {
  std::vector<double> trusted, role, login, both;
};

void Print(const char* what, std::vector<double> times) {
  std::ranges::sort(times);
  std::printf("%-22s median %6.2f ms   p90 %6.2f ms\n", what, times[times.size() / 2],
              times[times.size() * 9 / 10]);
}

Task<> Measure(std::shared_ptr<const ServerAddress> address,
               std::shared_ptr<Credentials> credentials, std::vector<Grant> grants, int rounds,
               Figures& out) {
  op::Session session;
  session.id = "s_bench", session.who.name = "bench";
  const Nanos until = SystemClock().WallNow() + Nanos(3600) * 1'000'000'000;
  for (int i = -3; i < rounds; ++i) {
    auto began = Clock::now();
    SALLYPORT_CO_TRY(auto trusted, co_await LogIn(*address, credentials->Admin()));
    const double plain = Since(began);
    trusted.stream->Close();

    began = Clock::now();
    SALLYPORT_CO_TRY(auto lease, co_await credentials->Borrow(session, grants, until));
    const double role = Since(began);
    SALLYPORT_CO_TRY(auto server, co_await LogIn(*address, lease->login()));
    const double both = Since(began);
    server.stream->Close();
    lease->Release();
    (void)co_await net::Sleep(std::chrono::milliseconds(15));
    if (i < 0) continue;  // the first ones open the administrator's connections
    out.trusted.push_back(plain), out.role.push_back(role);
    out.login.push_back(both - role), out.both.push_back(both - plain);
  }
  co_return Result<>();
}

int Run(int argc, char** argv) {
  if (argc < 2) return 2;
  auto address = std::make_shared<ServerAddress>();
  address->host = "127.0.0.1";
  address->port = static_cast<uint16_t>(std::atoi(argv[1]));
  address->database = argc > 2 ? argv[2] : "postgres";
  address->sslmode = ServerAddress::SslMode::disable;
  JitRoleOptions options;
  options.admin_user = argc > 3 ? argv[3] : "postgres";
  options.gateway = "bench";
  const auto credentials = MakeJitRoleCredentials(address, std::move(options));
  std::vector<Grant> grants;
  for (int i = 4; i < argc; ++i) grants.push_back({argv[i], {"SELECT"}, {}});

  net::Shards shards(1);
  shards.Start();
  Figures figures;
  const auto done =
      boost::asio::co_spawn(shards.executor(0), Measure(address, credentials, grants, 200, figures),
                            boost::asio::use_future)
          .get();
  if (!done) {
    std::fprintf(stderr, "%s\n", done.error().detail.c_str());
    return 1;
  }
  Print("trusted login", figures.trusted);
  Print("making the role", figures.role);
  Print("login with it", figures.login);
  Print("above trusted", figures.both);
  while (credentials->leases() > 0) std::this_thread::sleep_for(std::chrono::milliseconds(10));
  return 0;
}

}  // namespace
}  // namespace sallyport::pg

int main(int argc, char** argv) { return sallyport::pg::Run(argc, argv); }
