#pragma once

#include <cstdint>
#include <filesystem>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "ledger/file_pool.h"
#include "ledger/tile.h"
#include "ledger/tree.h"

namespace sallyport::ledger {

/// Writes the files of a log. Not thread-safe.
///
/// Tiles and bundles appear under their names whole (written under `spare`, then renamed): full
/// ones as soon as they are full, never to change; partial ones, which nobody needs before, by
/// Publish, which then puts the checkpoint into place: at every moment the published checkpoint's
/// files are complete. Partial ones whose tile is full become other files (FilePool). Nothing is
/// synced before SyncAll; until then the write-ahead log has to keep the entries.
class TileWriter {
 public:
  /// Continues a log of `base` entries, a multiple of 256. `partials[level]`: hashes of the level's
  /// last, unfilled tile.
  TileWriter(std::filesystem::path log_dir, uint64_t base, std::vector<std::vector<Hash>> partials);

  /// Files that exist with the same content are left alone: for the replay after a crash.
  void set_keep_equal(bool keep) { keep_equal_ = keep; }
  /// After a replay: makes the partial files of the unfilled tiles what they were, because a power
  /// cut may have emptied them, and deletes those that no checkpoint was written for.
  Result<> RepairPartials();

  /// Adds one or more entries in the encoding of bundles.
  Result<> AddEntries(std::string_view encoded);
  Result<> AddHash(const TileHash& hash);

  /// Writes the partial tiles of the current size, then the signed `note` of that size as
  /// `checkpoint`. `synced`: the checkpoint's bytes are on the disk before it gets its name, so that
  /// a power cut leaves it or the one before; where no write-ahead log stands in for a torn one.
  Result<> Publish(std::string_view note, bool synced = false);

  /// Files that were written and not synced. Once they are, entries below `full` need no
  /// write-ahead log.
  struct Unsynced {
    std::filesystem::path log_dir;
    std::vector<std::filesystem::path> files;
    std::set<std::filesystem::path> directories;
    uint64_t full = 0;
    /// fsync of all of them and of `checkpoint`. On any thread: it waits for the disk long.
    Result<> Sync() const;
  };
  /// All full files since the last call, with the directories of partial ones.
  Unsynced TakeUnsynced();
  /// Syncs what TakeUnsynced would give and the partial files.
  Result<> SyncAll();

 private:
  struct Level {
    std::string hashes;    // of the unfilled tile
    uint64_t number = 0;   // of the unfilled tile
    bool changed = false;  // since its partial file was written
  };

  Result<> WriteTile(const std::filesystem::path& path, std::string_view bytes);
  Result<> WriteFull(const TileName& name, std::string_view bytes);
  Result<> RepairPartialsOf(const TileName& full, std::string_view bytes);
  Result<> WritePartial(const TileName& name, std::string_view bytes);
  Result<> EnsureDirectory(const std::filesystem::path& file);

  std::filesystem::path log_dir_;
  FilePool tiles_;
  FilePool notes_;  // apart: after a power cut `checkpoint` may be what its file was before
  std::vector<Level> levels_;
  std::string bundle_;
  unsigned bundle_entries_ = 0;
  uint64_t bundle_number_;
  bool bundle_changed_ = false;
  bool keep_equal_ = false;
  std::set<std::filesystem::path> known_directories_;
  std::vector<std::filesystem::path> unsynced_;
  std::set<std::filesystem::path> unsynced_directories_;
  std::vector<std::filesystem::path> superseded_;  // directories of partial tiles that are full now
  std::vector<std::filesystem::path> last_partials_;
};

}  // namespace sallyport::ledger
