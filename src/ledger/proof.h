#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "ledger/checkpoint.h"
#include "ledger/tree.h"

namespace sallyport::ledger {

/// One entry's place in the log, provable without the log (https://c2sp.org/tlog-proof).
struct ProofFile {
  uint64_t index = 0;
  std::vector<Hash> hashes;  // from the leaf's sibling up to the child of the root
  std::string note;          // the signed checkpoint, verbatim
};

std::string FormatProof(const ProofFile& proof);
/// Strict; an "extra" line is accepted and dropped, as it is not authenticated.
Result<ProofFile> ParseProof(std::string_view text);

/// The .tlog-proof of entry `index` under the checkpoint that witnesses have cosigned, or where
/// that does not cover it (yet) under the published one. not_found if that does not cover it yet.
Result<std::string> Prove(const std::filesystem::path& data_dir, uint64_t index);

/// Entries with their proofs under one checkpoint.
struct ProvenEntries {
  struct One {
    uint64_t index = 0;
    std::string entry;
    std::vector<Hash> proof;
  };
  std::string note;  // the one that witnesses have cosigned if it covers all of them
  std::string vkey;  // the log's record of its key
  std::vector<One> entries;
};
/// not_found: the published checkpoint does not cover one of `indexes` yet.
Result<ProvenEntries> ProveAll(const std::filesystem::path& data_dir,
                               const std::vector<uint64_t>& indexes);

/// Checks signature, origin and inclusion of `entry`; returns the checkpoint it is proven under.
Result<Checkpoint> VerifyProof(std::string_view proof, std::string_view entry,
                               const NoteVerifier& verifier);

}  // namespace sallyport::ledger
