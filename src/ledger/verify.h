#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "ledger/reader.h"

namespace sallyport::ledger {

struct VerifyOptions {
  std::string vkey;  // empty: the key recorded in log/vkey, which proves consistency only
  std::string older_checkpoint;  // a signed note remembered from before, or empty
};

/// Something that an honest writer and a crash do not leave behind.
struct Problem {
  std::string file;               // relative to the data directory
  std::optional<uint64_t> index;  // of the entry, where there is one
  std::string what;
};

struct VerifyReport {
  bool ok() const { return problems.empty(); }

  bool found = true;              // false: there is no log in this directory
  std::vector<Problem> problems;  // the first one found is the first one listed; at most 20
  std::string origin;
  std::string vkey;
  bool key_given = false;  // else the log's own record of its key was used
  uint64_t size = 0;       // of the checkpoint
  std::string root;        // base64
  uint64_t entries = 0;    // hashed and checked
  uint64_t files = 0;      // of the log that were compared
  uint64_t uncovered = 0;  // entries in the write-ahead log that no published checkpoint covers yet
  std::optional<uint64_t>
      older_size;  // of the remembered checkpoint, once its signature was verified
  std::optional<uint64_t> cosigned_size;  // of log/checkpoint.cosigned, the same; if there is one
  std::string cosigned;                   // its note
  /// By whom and when, and whether that is enough: filled in by who has a policy.
  std::vector<std::pair<std::string, std::string>> cosigned_by;
  std::optional<bool> quorum;
  /// Recordings that entries name, and their bytes: filled in by who checks them.
  uint64_t recordings = 0, recording_bytes = 0;

  std::string Summary() const;  // one line without its end, for people
  std::string Text() const;     // a few lines for people
  std::string Json() const;     // one line
};

/// Recomputes everything from the entries: each bundle, each tile of each level, also the partial
/// ones that older checkpoints used, the root, the signature; with a remembered checkpoint, and with
/// the one that witnesses have cosigned, that this log still is the one it was (no rollback, no
/// fork). The cosignatures are not looked at: see witness/policy.h. Reads each byte once; memory does not
/// grow with the log.
VerifyReport VerifyLog(const LogFiles& files, const VerifyOptions& options);

/// The same for a gateway's data directory, with its write-ahead log. Needs no secret and no
/// running gateway; one may be running. `vkey` and `older_checkpoint` as in VerifyOptions; without
/// a key the one recorded in log/vkey is used, and the report says that this proves consistency
/// only.
/// `visit` gets each entry that the checkpoint covers, in order.
using EntryVisitor = std::function<void(uint64_t index, std::string_view entry)>;
VerifyReport VerifyDataDir(const std::filesystem::path& data_dir,
                           const std::optional<std::string>& vkey = {},
                           const std::optional<std::string>& older_checkpoint = {},
                           const EntryVisitor& visit = {});

}  // namespace sallyport::ledger
