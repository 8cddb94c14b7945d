// ledger_tamper [mutations] [seed] [honest]: changes a log in every way of docs/formats/log.md and
// counts what the verifier misses; verifies honest logs, a tenth as many unless told. Exit code 0
// only if it missed nothing that it promises to find and refused no honest log.
#include <chrono>
#include <cstdio>
#include <cstdlib>

#include "ledger/tamper_for_tests.h"

int main(int argc, char** argv) {
  using sallyport::ledger::Tamperer;
  const uint64_t n = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 2000;
  const uint64_t seed = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 1;
  const uint64_t honest = argc > 3 ? std::strtoull(argv[3], nullptr, 10) : n / 10;
  const auto begun = std::chrono::steady_clock::now();
  const auto counts = sallyport::ledger::RunTamper(n, seed);
  bool ok = true;
  std::printf("%-50s %8s %22s %22s\n", "class", "tried", "missed alone", "missed with memory");
  for (int kind = 0; kind < Tamperer::kClasses; ++kind) {
    const auto& c = counts[size_t(kind)];
    std::printf("%-50s %8llu %22llu %22llu\n", Tamperer::ClassName(kind),
                static_cast<unsigned long long>(c.tried), static_cast<unsigned long long>(c.missed),
                static_cast<unsigned long long>(c.missed_with_memory));
    ok = ok && c.missed_with_memory == 0 && (c.missed == 0 || Tamperer::NeedsMemory(kind));
  }
  const uint64_t refused = sallyport::ledger::RunHonest(honest, seed);
  const double seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count();
  std::printf("%llu mutations: %s; %llu honest logs: %llu false alarms; %.1f s\n",
              static_cast<unsigned long long>(n), ok ? "every one detected" : "SOME WERE MISSED",
              static_cast<unsigned long long>(honest), static_cast<unsigned long long>(refused),
              seconds);
  return ok && refused == 0 ? 0 : 1;
}
