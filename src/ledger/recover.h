#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "base/result.h"
#include "ledger/checkpoint.h"
#include "ledger/tree.h"
#include "ledger/writer.h"

namespace sallyport::ledger {

/// A log as a crash left it, ready to be continued.
struct Recovered {
  Recovery report;
  uint64_t base = 0;  // entries below it are in synced full bundles; multiple of 256
  std::vector<std::vector<Hash>> partials;  // per level, of the unfilled tiles at `base`
  Frontier tree;                            // with all recovered entries
  std::vector<TileHash> hashes;             // that the entries from `base` on complete
  std::string entries;                      // from `base` on, in the encoding of bundles
  std::vector<std::filesystem::path> segments;
  uint64_t next_segment = 1;  // number
  bool reserve_used = false;  // holds the last entry
};

/// Reads what a crash left under `data_dir`; writes nothing. Refused with ledger_unavailable and a
/// detail that names the file: see Ledger::Open.
Result<Recovered> Recover(const std::filesystem::path& data_dir, const NoteVerifier& verifier);

}  // namespace sallyport::ledger
