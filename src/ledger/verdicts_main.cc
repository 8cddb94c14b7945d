// ledger_verdicts DIR [CASES] [SEED]: writes honest and changed logs and proofs to DIR/0, DIR/1, …,
// each with what this verifier says of it, for verifiers that are not ours (tests/verify/agree.sh).
// Prints the verifier key.
//
//   DIR/N/log/…            the files that the checkpoint of the log needs, changed or not
//   DIR/N/proof, entry     a .tlog-proof and what it claims to be the entry, changed or not
//   DIR/N/verdicts         two words, of the log and of the proof: "ok" or "bad"
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <random>
#include <string>

#include "ledger/file.h"
#include "ledger/proof.h"
#include "ledger/tamper_for_tests.h"
#include "ledger/tile.h"
#include "ledger/verify.h"

namespace {

using namespace sallyport;
using namespace sallyport::ledger;

/// Only what the checkpoint needs: other verifiers look at nothing else.
Image Needed(const Image& image) {
  Image out;
  const auto note = image.files.find("checkpoint");
  if (note == image.files.end()) return out;
  out.files.insert(*note);
  const auto checkpoint = PeekCheckpoint(note->second);
  if (!checkpoint || checkpoint->size > 100'000) return out;
  for (const TileName& name : TilesOf(checkpoint->size)) {
    const auto file = image.files.find(TilePath(name));
    if (file != image.files.end()) out.files.insert(*file);
  }
  return out;
}

class Cases {
 public:
  explicit Cases(uint64_t seed) : tamperer_(seed), random_(seed) {}
  const std::string& vkey() const { return tamperer_.vkey(); }

  Result<> Write(const std::filesystem::path& dir) {
    const bool honest = Below(4) == 0;
    const Image image =
        Needed(honest ? tamperer_.honest() : tamperer_.Mutate(int(Below(Tamperer::kClasses))));
    for (const auto& [name, bytes] : image.files) {
      const std::filesystem::path file = dir / "log" / name;
      SALLYPORT_CHECK(MakeDirectories(file.parent_path()));
      SALLYPORT_CHECK(WriteFile(file, bytes));
    }
    const bool log = VerifyLog(image, {.vkey = vkey(), .older_checkpoint = {}}).ok();
    SALLYPORT_TRY(auto proof, Proof(Below(3) == 0));
    SALLYPORT_TRY(const NoteVerifier verifier, NoteVerifier::Make(vkey()));
    const bool proven = VerifyProof(proof.first, proof.second, verifier).has_value();
    SALLYPORT_CHECK(MakeDirectories(dir));
    SALLYPORT_CHECK(WriteFile(dir / "proof", proof.first));
    SALLYPORT_CHECK(WriteFile(dir / "entry", proof.second));
    return WriteFile(dir / "verdicts",
                     std::string(log ? "ok" : "bad") + (proven ? " ok\n" : " bad\n"));
  }

 private:
  size_t Below(size_t n) { return size_t(random_() % n); }

  /// The proof of an entry of the honest log, and the entry; one of them changed unless `honest`.
  Result<std::pair<std::string, std::string>> Proof(bool honest) {
    const Image& log = tamperer_.honest();
    SALLYPORT_TRY(const Checkpoint head, PeekCheckpoint(log.files.at("checkpoint")));
    ProofFile proof{.index = Below(head.size), .hashes = {}, .note = log.files.at("checkpoint")};
    SALLYPORT_TRY(proof.hashes,
                  InclusionProof(proof.index, head.size, TileSubtrees(log, head.size)));
    const uint64_t number = proof.index / kTileWidth;
    const unsigned width =
        unsigned(std::min<uint64_t>(kTileWidth, head.size - number * kTileWidth));
    SALLYPORT_TRY(const std::string bundle, ReadTile(log, {true, 0, number, width}));
    const auto entries = SplitBundle(bundle, width);
    std::string entry((*entries)[proof.index % kTileWidth]);
    if (honest) return std::pair(FormatProof(proof), std::move(entry));
    switch (Below(6)) {
      case 0:
        proof.index = Below(head.size + 3);
        break;
      case 1:
        if (!proof.hashes.empty())
          proof.hashes.erase(proof.hashes.begin() + long(Below(proof.hashes.size())));
        break;
      case 2:
        proof.hashes.insert(proof.hashes.begin() + long(Below(proof.hashes.size() + 1)), Hash{});
        break;
      case 3:
        entry += 'x';
        break;
      default: {
        std::string text = FormatProof(proof);
        const size_t bit = Below(text.size() * 8);
        text[bit / 8] = char(text[bit / 8] ^ (1 << (bit % 8)));
        return std::pair(std::move(text), std::move(entry));
      }
    }
    return std::pair(FormatProof(proof), std::move(entry));
  }

  Tamperer tamperer_;
  std::mt19937_64 random_;
};

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "usage: ledger_verdicts DIR [CASES] [SEED]\n");
    return 2;
  }
  const uint64_t count = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 100;
  Cases cases(argc > 3 ? std::strtoull(argv[3], nullptr, 10) : 1);
  for (uint64_t i = 0; i < count; ++i) {
    const auto written = cases.Write(std::filesystem::path(argv[1]) / std::to_string(i));
    if (!written) {
      std::fprintf(stderr, "%s\n", written.error().detail.c_str());
      return 1;
    }
  }
  std::printf("%s\n", cases.vkey().c_str());
  return 0;
}
