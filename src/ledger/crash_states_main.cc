// ledger_crash_states [images] [seed]: see crash_states_for_tests.h. Exit code 0 if the log opened
// in every state and had kept what it had promised.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>

#include "ledger/crash_states_for_tests.h"
#include "ledger/scratch_for_tests.h"

int main(int argc, char** argv) {
  const uint64_t images = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 10'000;
  const uint64_t seed = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 1;
  const auto begun = std::chrono::steady_clock::now();
  const sallyport::ledger::MemoryScratch dir;
  const auto r = sallyport::ledger::RunCrashStates(dir.path() / "disk", images, seed);
  const double seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count();
  const auto n = [](uint64_t value) { return static_cast<unsigned long long>(value); };
  std::printf(
      "%llu states (%llu different) of %llu runs with %llu operations, %llu of them after a "
      "crash, in %.1f s; %llu acknowledged entries looked for: %s\n",
      n(r.images), n(r.different), n(r.sessions), n(r.operations), n(r.restarts), seconds,
      n(r.acknowledged),
      r.failure.empty() ? "none lost, every log opened and verified" : r.failure.c_str());
  return r.failure.empty() ? 0 : 1;
}
