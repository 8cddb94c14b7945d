// ledger_crash [rounds] [seed]: kill -9 under load, see crash_for_tests.h. Exit code 0 if nothing
// was lost.
#include <chrono>
#include <cstdio>
#include <cstdlib>

#include "ledger/crash_for_tests.h"
#include "ledger/scratch_for_tests.h"

int main(int argc, char** argv) {
  const uint64_t rounds = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 100;
  const uint64_t seed = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 1;
  const auto begun = std::chrono::steady_clock::now();
  sallyport::ledger::CrashResult total;
  for (uint64_t done = 0; done < rounds && total.failure.empty();) {
    const sallyport::ledger::Scratch dir;  // a fresh log now and then keeps verification quick
    const uint64_t part = std::min<uint64_t>(25, rounds - done);
    const auto r = sallyport::ledger::RunCrashes(dir.path(), part, seed + done);
    total.rounds += r.rounds;
    total.acknowledged += r.acknowledged;
    total.strict += r.strict;
    total.failure = r.failure;
    done += part;
  }
  const double seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count();
  std::printf("%llu kills in %.1f s, %llu entries acknowledged (%llu strict): %s\n",
              static_cast<unsigned long long>(total.rounds), seconds,
              static_cast<unsigned long long>(total.acknowledged),
              static_cast<unsigned long long>(total.strict),
              total.failure.empty() ? "none lost, every log verified" : total.failure.c_str());
  return total.failure.empty() ? 0 : 1;
}
