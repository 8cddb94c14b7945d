#include "evidence_pack/integrity.h"

#include <algorithm>
#include <cstring>

#include "base/bytes.h"
#include "evidence_pack/range_proof.h"
#include "ledger/checkpoint.h"
#include "ledger/proof.h"
#include "ledger/reader.h"
#include "ledger/sample.h"
#include "ledger/tile.h"

namespace sallyport::evidence_pack {

using ledger::Hash;

Integrity::Integrity(std::filesystem::path data_dir, Pack& pack, std::string note,
                     std::string cosigned)
    : data_dir_(std::move(data_dir)),
      pack_(pack),
      note_(std::move(note)),
      cosigned_(std::move(cosigned)) {}

Result<> Integrity::CheckRoot() const {
  SALLYPORT_TRY(const ledger::Checkpoint head, ledger::PeekCheckpoint(note_));
  if (tree_.size() != head.size || tree_.Root() != head.root)
    return Fail(Errc::token_signature_invalid,
                "the entries that were read are not those that the log's head signs");
  return {};
}

Result<> Integrity::Finish(const std::string& seed, uint64_t samples) {
  pack_.Put("integrity/checkpoint", note_);
  pack_.Put("integrity/vkey", pack_.head().vkey + "\n");
  SALLYPORT_CHECK(WriteLeaves());
  SALLYPORT_CHECK(WriteProofs());
  return WriteSamples(seed, samples);
}

Result<> Integrity::WriteLeaves() {
  // Hashes that were computed here: nothing of a message, and not to be searched as one.
  PackFile& file = pack_.Open("integrity/leaves.txt", PackFile::Kind::binary);
  const ledger::LogDirectory log(data_dir_ / "log");
  std::string tile, line;
  uint64_t number = ~0ull;
  for (uint64_t index = *first_; index <= last_; ++index) {
    if (index / ledger::kTileWidth != number) {
      number = index / ledger::kTileWidth;
      const uint64_t width =
          std::min<uint64_t>(ledger::kTileWidth, tree_.size() - number * ledger::kTileWidth);
      SALLYPORT_TRY(tile, ledger::ReadTile(log, {.number = number, .width = unsigned(width)}));
      if (tile.size() < width * 32) return Fail(Errc::io_failed, "a tile of the log is too short");
    }
    const std::string_view leaf =
        std::string_view(tile).substr(index % ledger::kTileWidth * 32, 32);
    line = Base64Encode(AsBytes(leaf));
    line += '\n';
    file.Write(line);
  }
  return {};
}

Result<> Integrity::WriteProofs() {
  const ledger::LogDirectory log(data_dir_ / "log");
  const ledger::SubtreeReader read = ledger::TileSubtrees(log, tree_.size());
  SALLYPORT_TRY(const std::vector<Hash> hashes, RangeProof(*first_, last_ + 1, tree_.size(), read));
  std::string text(kRangeHeader);
  text += "\nfirst " + std::to_string(*first_) + "\nend " + std::to_string(last_ + 1) + '\n';
  for (const Hash& hash : hashes) text += Base64Encode(hash) + '\n';
  pack_.Put("integrity/range", text);
  if (cosigned_.empty()) return {};
  SALLYPORT_TRY(const ledger::Checkpoint old, ledger::PeekCheckpoint(cosigned_));
  SALLYPORT_TRY(const std::vector<Hash> proof,
                ledger::ConsistencyProof(old.size, tree_.size(), read));
  std::string lines;
  for (const Hash& hash : proof) lines += Base64Encode(hash) + '\n';
  pack_.Put("integrity/checkpoint.cosigned", cosigned_);
  pack_.Put("integrity/consistency", lines);
  return {};
}

Result<> Integrity::WriteSamples(const std::string& given, uint64_t count) {
  SALLYPORT_TRY(const ledger::Checkpoint head, ledger::PeekCheckpoint(note_));
  const std::string seed = given.empty() ? Base64Encode(head.root) : given;
  const uint64_t population = last_ + 1 - *first_;
  std::vector<uint64_t> picks = ledger::SampleIndexes(seed, population, count);
  for (uint64_t& pick : picks) pick += *first_;
  const ledger::LogDirectory log(data_dir_ / "log");
  const ledger::SubtreeReader read = ledger::TileSubtrees(log, head.size);
  SALLYPORT_TRY(ledger::LogReader reader, ledger::LogReader::Open(data_dir_));
  for (const uint64_t pick : picks) {
    SALLYPORT_TRY(const std::string entry, reader.Read(pick));
    SALLYPORT_TRY(const std::vector<Hash> proof, ledger::InclusionProof(pick, head.size, read));
    const std::string name = "samples/" + std::to_string(pick);
    pack_.Put(name + ".entry", entry);
    pack_.Put(name + ".tlog-proof", ledger::FormatProof({pick, proof, note_}));
  }
  const std::string file = "samples/sample.json";
  pack_.PutJson(
      file, "drawn from the entries of integrity/leaves.txt",
      {{"seed", seed},
       {"seed_from", given.empty() ? "the root hash of the log: nobody chose it"
                                   : "given to the command: by the assessor"},
       {"method",
        "for i = 0, 1, ...: first + (first eight bytes, big-endian, of HMAC-SHA-256(seed, "
        "i in decimal)) modulo population; what was drawn before is passed over"},
       {"first", *first_},
       {"population", population},
       {"picks", picks}});
  pack_.Register({"10.2.2", "10.3.4"}, file, "Entries drawn by a seed, whole and with their proofs",
                 "sample of all entries of the period", picks.size(), "sample");
  return {};
}

}  // namespace sallyport::evidence_pack
