#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "ledger/tree.h"

namespace sallyport::ledger {

/// Names and contents of the files of a tlog-tiles log (https://c2sp.org/tlog-tiles), relative to
/// its root.
inline constexpr unsigned kTileWidth = 256;
inline constexpr unsigned kTileLevels = 8;  // of a tree below 2^64 leaves

/// Longest entry that is taken; the caller cuts payloads. (A bundle could hold 65,535 bytes.)
inline constexpr size_t kMaxEntryBytes = 60'000;

/// Under the log's root: files that wait to become others. No part of the log.
inline constexpr std::string_view kSpareDirectory = "spare";

/// What a file under the log's root is.
struct TileName {
  bool entries = false;  // an entry bundle, counted like level 0
  unsigned level = 0;
  uint64_t number = 0;
  unsigned width = kTileWidth;  // below 256: a partial tile

  bool operator==(const TileName&) const = default;
};

/// "tile/0/x001/234/067.p/5", "tile/entries/000".
std::string TilePath(const TileName& name);
/// The inverse; nullopt for every other spelling.
std::optional<TileName> ParseTilePath(std::string_view path);

/// Number of hashes at `level` of a tree of `size` leaves.
inline uint64_t HashesAt(unsigned level, uint64_t size) {
  return level >= 8 ? 0 : size >> (8 * level);
}

/// All tiles and bundles that a checkpoint of `size` needs, level by level, bundles last.
std::vector<TileName> TilesOf(uint64_t size);

/// Appends one entry to a bundle: big-endian uint16 length, then the bytes. REQUIRES at most 65,535
/// bytes.
void AppendToBundle(std::string& bundle, std::string_view entry);

/// Splits a bundle. nullopt unless it holds exactly `width` entries and no byte more.
std::optional<std::vector<std::string_view>> SplitBundle(std::string_view bundle, unsigned width);

/// Root of a full tile's hashes. REQUIRES count to be a power of two.
Hash ReduceTile(const uint8_t* hashes, unsigned count);

}  // namespace sallyport::ledger
