// ledger_sample DIR ENTRIES [INDEX...]: writes a log of `entry 0`, `entry 1`, … to DIR, as a
// gateway would, and the proofs of the given entries to DIR/proof-INDEX.tlog-proof. Prints the
// verifier key. For verifiers that are not ours (tests/verify).
#include <cstdio>
#include <cstdlib>
#include <string>

#include "ledger/file.h"
#include "ledger/proof.h"
#include "ledger/writer.h"

int main(int argc, char** argv) {
  using namespace sallyport;
  if (argc < 3) {
    std::fprintf(stderr, "usage: ledger_sample DIR ENTRIES [INDEX...]\n");
    return 2;
  }
  ledger::Options options;
  options.data_dir = argv[1];
  options.origin = "gate.example.com/sample";
  options.signing_key = Secret(std::string(32, 's'));
  const uint64_t entries = std::strtoull(argv[2], nullptr, 10);
  options.queue_limit = entries + 1;
  auto opened = ledger::Ledger::Open(std::move(options));
  if (!opened) {
    std::fprintf(stderr, "%s\n", opened.error().detail.c_str());
    return 1;
  }
  for (uint64_t i = 0; i < entries; ++i) {
    if (!(*opened)->Append("entry " + std::to_string(i))) return 1;
  }
  const std::string vkey = (*opened)->vkey();
  if (!(*opened)->Close()) return 1;
  for (int i = 3; i < argc; ++i) {
    const auto proof = ledger::Prove(argv[1], std::strtoull(argv[i], nullptr, 10));
    if (!proof) {
      std::fprintf(stderr, "%s\n", proof.error().detail.c_str());
      return 1;
    }
    const std::string name = std::string(argv[1]) + "/proof-" + argv[i] + ".tlog-proof";
    if (!ledger::WriteFile(name, *proof)) return 1;
  }
  std::printf("%s\n", vkey.c_str());
  return 0;
}
