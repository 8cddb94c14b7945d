#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "evidence_pack/setup.h"
#include "evidence_pack/signature.h"

namespace sallyport::evidence_pack {

struct BuildOptions {
  std::filesystem::path data_dir, out;
  Nanos from = 0, to = 0;  // [from, to); 0: from the first entry, behind the last one
  std::string version;     // of the product
  std::string seed;        // an assessor's; empty: the root hash of the log, which nobody chooses
  uint64_t samples = 25;
};

struct BuildReport {
  std::string origin, fingerprint, summary;
  Nanos from = 0, to = 0;
  uint64_t entries = 0;  // of the period
  uint64_t files = 0, bytes = 0;
};

/// Makes a pack out of the log for a period; docs/evidence-pack.md. The same log (its head),
/// period, configuration, key and options give the same bytes. Reads while a gateway writes. Memory
/// grows with people and with what is open at one time, and by 100 bytes or so for each entry of
/// the period that is sampled; not with the entries.
///
/// not_found: no log, or no entry in the period. io_failed: cannot read or write, also: the disk is
/// full. token_signature_invalid: the log does not verify; the detail says what is wrong with it.
/// mask_failed: something in the pack looks like a card number; the detail says where. Where there
/// is an error there is no file, and a file that was at `out` before is as it was.
Result<BuildReport> BuildPack(const BuildOptions& options, const Setup& setup, const PackKey& key);

}  // namespace sallyport::evidence_pack
