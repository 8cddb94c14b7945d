#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

namespace sallyport::ledger {

/// What the write-ahead log holds. Borrows the bytes of its files.
struct WalContents {
  std::vector<std::string> files;        // bytes
  bool begun = false;                    // there is a file
  uint64_t first = 0;                    // index of leaves[0]
  std::vector<std::string_view> leaves;  // without gaps
  /// Of files that a start had replaced and not yet deleted: where they begin, and their entries.
  std::vector<std::pair<uint64_t, std::vector<std::string_view>>> superseded;
  std::vector<std::pair<uint64_t, std::string_view>> notes;  // signed checkpoints by tree size
  bool earlier_boot = false;  // the newest file was begun before the machine's last restart
  bool reserve_used = false;  // a ledger that failed has left its last word
  uint64_t dropped_bytes = 0;
  uint64_t dropped_frames = 0;
};

/// Reads segments and reserve, in order. A torn tail is dropped and counted; refused is what a
/// crash cannot have caused (docs/formats/wal.md, "Recovery").
///
/// `live`: a writer may be running; then a file may go away, or a frame be seen half, and a refusal
/// is looked at again before it is returned.
Result<WalContents> ReadWal(const std::filesystem::path& wal_dir, bool live);

}  // namespace sallyport::ledger
