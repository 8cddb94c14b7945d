#include "ledger/recover.h"

#include <algorithm>

#include "base/bytes.h"
#include "ledger/file.h"
#include "ledger/tile.h"
#include "ledger/wal.h"
#include "ledger/wal_reader.h"

namespace sallyport::ledger {
namespace {

std::unexpected<Error> Refuse(std::string detail) {
  return Fail(Errc::ledger_unavailable, std::move(detail));
}

/// The peaks and unfilled tiles at `base` (a multiple of 256), from full tiles only: those are
/// synced.
Result<> LoadEdge(const std::filesystem::path& log_dir, uint64_t base, Recovered& out) {
  out.partials.assign(kTileLevels, {});
  std::vector<Hash> peaks;
  for (unsigned level = kTileLevels - 1; level >= 1; --level) {
    const uint64_t hashes = HashesAt(level, base);
    const unsigned rest = unsigned(hashes % kTileWidth);
    for (uint64_t i = hashes - rest; i < hashes; ++i) {
      const TileName name{false, level - 1, i, kTileWidth};
      const Result<std::string> tile = ReadFile(log_dir / TilePath(name));
      if (!tile) return Refuse(tile.error().detail);
      if (tile->size() != kTileWidth * sizeof(Hash))
        return Refuse(TilePath(name) + " has a wrong length");
      out.partials[level].push_back(
          ReduceTile(reinterpret_cast<const uint8_t*>(tile->data()), kTileWidth));
    }
    // The unfilled tile's hashes, as perfect subtrees from left to right.
    for (unsigned done = 0, width = 128; width > 0; width /= 2) {
      if ((rest & width) == 0) continue;
      peaks.push_back(
          ReduceTile(reinterpret_cast<const uint8_t*>(out.partials[level].data() + done), width));
      done += width;
    }
  }
  out.base = base;
  out.tree = Frontier(base, std::move(peaks));
  return {};
}

/// The published checkpoint; nullopt if there is none. A power cut may have emptied or torn the
/// file: then the newest signed checkpoint of the write-ahead log stands in for it.
Result<std::optional<Checkpoint>> ReadPublished(const std::filesystem::path& log_dir,
                                                const WalContents& wal,
                                                const NoteVerifier& verifier) {
  Result<std::string> note = ReadFile(log_dir / "checkpoint");
  if (!note && note.error().code == Errc::not_found) return std::nullopt;
  if (!note) return Refuse(note.error().detail);
  Result<Checkpoint> checkpoint = verifier.OpenCheckpoint(*note);
  if (!checkpoint && wal.earlier_boot && !wal.notes.empty())
    checkpoint = verifier.OpenCheckpoint(wal.notes.back().second);
  if (!checkpoint) {
    return Refuse((log_dir / "checkpoint").string() +
                  " is not a checkpoint of this log and key: " + checkpoint.error().detail);
  }
  return *std::move(checkpoint);
}

/// The entries of the unfilled bundle, when no write-ahead log came with the directory.
Result<std::string> ReadLastBundle(const std::filesystem::path& log_dir, uint64_t size) {
  const unsigned width = unsigned(size % kTileWidth);
  if (width == 0) return std::string();
  const TileName name{true, 0, size / kTileWidth, width};
  const Result<std::string> bundle = ReadFile(log_dir / TilePath(name));
  if (!bundle) return Refuse("the write-ahead log is missing, and " + bundle.error().detail);
  if (!SplitBundle(*bundle, width)) return Refuse(TilePath(name) + " is malformed");
  return *bundle;
}

/// Adds the entries to the tree; the published and every recorded checkpoint must fit what comes
/// out.
Result<> Replay(const WalContents& wal, const Checkpoint& published, const NoteVerifier& verifier,
                Recovered& out) {
  std::vector<std::pair<uint64_t, Hash>> expected{{published.size, published.root}};
  for (const auto& [size, note] : wal.notes) {
    if (size < out.base) continue;
    const Result<Checkpoint> checkpoint = verifier.OpenCheckpoint(note);
    if (!checkpoint || checkpoint->size != size) {
      return Refuse("the write-ahead log holds a forged checkpoint of size " +
                    std::to_string(size));
    }
    expected.emplace_back(size, checkpoint->root);
  }
  std::sort(expected.begin(), expected.end());
  size_t next = 0;
  const auto check = [&]() -> Result<> {
    for (; next < expected.size() && expected[next].first == out.tree.size(); ++next) {
      if (expected[next].second != out.tree.Root()) {
        return Refuse(
            "the recovered entries do not give the root of the signed checkpoint of size " +
            std::to_string(out.tree.size()));
      }
    }
    return {};
  };
  SALLYPORT_CHECK(check());
  for (std::string_view rest = out.entries; !rest.empty();) {
    const size_t length = LoadBe16(reinterpret_cast<const uint8_t*>(rest.data()));
    out.tree.Append(LeafHash(rest.substr(2, length)), &out.hashes);
    rest.remove_prefix(2 + length);
    SALLYPORT_CHECK(check());
  }
  if (next < expected.size()) {
    return Refuse("a signed checkpoint covers " + std::to_string(expected.back().first) +
                  " entries, but only " + std::to_string(out.tree.size()) + " can be recovered");
  }
  return {};
}

}  // namespace

Result<Recovered> Recover(const std::filesystem::path& data_dir, const NoteVerifier& verifier) {
  const std::filesystem::path log_dir = data_dir / "log", wal_dir = data_dir / "wal";
  Recovered out;
  SALLYPORT_TRY(const WalContents wal, ReadWal(wal_dir, false));
  SALLYPORT_TRY(const std::optional<Checkpoint> published, ReadPublished(log_dir, wal, verifier));
  SALLYPORT_TRY(out.segments, ListSegments(wal_dir));
  if (!out.segments.empty()) out.next_segment = SegmentNumber(out.segments.back()) + 1;
  out.reserve_used = wal.reserve_used;
  if (!published) {
    if (!wal.leaves.empty() || std::filesystem::exists(log_dir / "tile")) {
      return Refuse((log_dir / "checkpoint").string() + " is missing, but the log has entries");
    }
    out.report.created = true;
    out.partials.assign(kTileLevels, {});
    return out;
  }

  const bool have_wal = !wal.leaves.empty();
  const uint64_t base = have_wal ? (wal.first + kTileWidth - 1) / kTileWidth * kTileWidth
                                 : published->size / kTileWidth * kTileWidth;
  if (base > published->size) {
    return Refuse("the published checkpoint of size " + std::to_string(published->size) +
                  " is older than the write-ahead log, which begins at entry " +
                  std::to_string(wal.first));
  }
  SALLYPORT_CHECK(LoadEdge(log_dir, base, out));
  if (have_wal) {
    size_t bytes = 0;
    for (size_t i = base - wal.first; i < wal.leaves.size(); ++i) bytes += 2 + wal.leaves[i].size();
    out.entries.reserve(bytes);
    for (size_t i = base - wal.first; i < wal.leaves.size(); ++i)
      AppendToBundle(out.entries, wal.leaves[i]);
    out.report.replayed =
        wal.first + wal.leaves.size() - std::min(published->size, wal.first + wal.leaves.size());
  } else {
    SALLYPORT_TRY(out.entries, ReadLastBundle(log_dir, published->size));
  }
  out.report.dropped_bytes = wal.dropped_bytes;
  out.report.dropped_frames = wal.dropped_frames;
  SALLYPORT_CHECK(Replay(wal, *published, verifier, out));
  return out;
}

}  // namespace sallyport::ledger
