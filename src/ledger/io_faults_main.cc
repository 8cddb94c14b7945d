// ledger_io_faults [runs] [seed]: see io_faults_for_tests.h. Exit code 0 if nothing left the
// process without its entry.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>

#include "ledger/io_faults_for_tests.h"
#include "ledger/scratch_for_tests.h"

int main(int argc, char** argv) {
  const uint64_t runs = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 1000;
  const uint64_t seed = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 1;
  const auto begun = std::chrono::steady_clock::now();
  const sallyport::ledger::MemoryScratch dir;
  const auto r = sallyport::ledger::RunIoFaults(dir.path() / "disk", runs, seed);
  const double seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count();
  const auto n = [](uint64_t value) { return static_cast<unsigned long long>(value); };
  std::printf(
      "%llu runs with %llu faults, %.1f s: %llu logs did not open, %llu ledgers failed in use; "
      "%llu "
      "calls sent, %llu results released, %llu withheld: %s\n",
      n(r.runs), n(r.faults), seconds, n(r.refused_open), n(r.poisoned), n(r.sent), n(r.released),
      n(r.withheld), r.failure.empty() ? "each has its entry" : r.failure.c_str());
  return r.failure.empty() ? 0 : 1;
}
