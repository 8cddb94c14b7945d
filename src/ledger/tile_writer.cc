#include "ledger/tile_writer.h"

#include <cstdio>
#include <system_error>
#include <utility>

#include "base/bytes.h"
#include "ledger/disk.h"
#include "ledger/file.h"

namespace sallyport::ledger {
namespace {

/// The first `name.width` hashes or entries of an unfilled tile; empty if there are fewer.
std::string_view Prefix(const TileName& name, std::string_view bytes) {
  size_t end = name.width * sizeof(Hash);
  if (name.entries) {
    end = 0;
    for (unsigned i = 0; i < name.width; ++i) {
      if (end + 2 > bytes.size()) return {};
      end += 2 + LoadBe16(reinterpret_cast<const uint8_t*>(bytes.data()) + end);
    }
  }
  return end > bytes.size() ? std::string_view() : bytes.substr(0, end);
}

}  // namespace

TileWriter::TileWriter(std::filesystem::path log_dir, uint64_t base,
                       std::vector<std::vector<Hash>> partials)
    : log_dir_(std::move(log_dir)),
      tiles_(log_dir_ / kSpareDirectory / "tiles", TheDisk().Rest()),
      notes_(log_dir_ / kSpareDirectory / "checkpoints", TheDisk().Rest()),
      bundle_number_(base / kTileWidth) {
  levels_.resize(kTileLevels);
  for (unsigned level = 0; level < kTileLevels; ++level) {
    levels_[level].number = HashesAt(level, base) / kTileWidth;
    if (level >= partials.size()) continue;
    for (const Hash& h : partials[level])
      levels_[level].hashes.append(reinterpret_cast<const char*>(h.data()), h.size());
    // Its file was not synced when those below it were: a power cut may have taken it.
    levels_[level].changed = !levels_[level].hashes.empty();
  }
}

Result<> TileWriter::AddEntries(std::string_view encoded) {
  while (!encoded.empty()) {
    const size_t length = 2 + LoadBe16(reinterpret_cast<const uint8_t*>(encoded.data()));
    bundle_.append(encoded.substr(0, length));
    encoded.remove_prefix(length);
    bundle_changed_ = true;
    if (++bundle_entries_ == kTileWidth) {
      SALLYPORT_CHECK(WriteFull({true, 0, bundle_number_, kTileWidth}, bundle_));
      bundle_.clear();
      bundle_entries_ = 0;
      ++bundle_number_;
      bundle_changed_ = false;
    }
  }
  return {};
}

Result<> TileWriter::AddHash(const TileHash& hash) {
  Level& level = levels_[hash.level];
  level.hashes.append(reinterpret_cast<const char*>(hash.hash.data()), hash.hash.size());
  level.changed = true;
  if (level.hashes.size() == kTileWidth * sizeof(Hash)) {
    SALLYPORT_CHECK(WriteFull({false, hash.level, level.number, kTileWidth}, level.hashes));
    level.hashes.clear();
    level.changed = false;
    ++level.number;
  }
  return {};
}

Result<> TileWriter::Publish(std::string_view note, bool synced) {
  for (unsigned l = 0; l < kTileLevels; ++l) {
    Level& level = levels_[l];
    if (!level.changed) continue;
    const unsigned width = unsigned(level.hashes.size() / sizeof(Hash));
    SALLYPORT_CHECK(WritePartial({false, l, level.number, width}, level.hashes));
    level.changed = false;
  }
  if (bundle_changed_) {
    SALLYPORT_CHECK(WritePartial({true, 0, bundle_number_, bundle_entries_}, bundle_));
    bundle_changed_ = false;
  }
  // While the log is written, not synced: a journal commit for each would be most of what a commit
  // costs. After a power cut the signed checkpoints in the write-ahead log stand in for it.
  const std::filesystem::path checkpoint = log_dir_ / "checkpoint";
  SALLYPORT_CHECK(synced ? ReplaceFile(checkpoint, note) : notes_.Replace(checkpoint, note));
  for (const auto& directory : superseded_) {
    // Only where there may be one: most tiles become full between two checkpoints.
    if (known_directories_.erase(directory) > 0 || keep_equal_) tiles_.TakeDirectory(directory);
  }
  superseded_.clear();
  return {};
}

Result<> TileWriter::RepairPartials() {
  for (unsigned l = 0; l < kTileLevels; ++l) {
    SALLYPORT_CHECK(RepairPartialsOf({false, l, levels_[l].number, kTileWidth}, levels_[l].hashes));
  }
  return RepairPartialsOf({true, 0, bundle_number_, kTileWidth}, bundle_);
}

Result<> TileWriter::RepairPartialsOf(const TileName& full, std::string_view bytes) {
  std::filesystem::path directory = log_dir_ / TilePath(full);
  directory += ".p";
  std::error_code error;
  std::vector<std::filesystem::path> paths;
  for (std::filesystem::directory_iterator it(directory, error), end; !error && it != end;
       it.increment(error)) {
    paths.push_back(it->path());
  }
  for (const auto& path : paths) {
    known_directories_.insert(directory);
    const auto name = ParseTilePath(path.lexically_relative(log_dir_).string());
    if (!name) continue;  // not ours: verification will name it
    const std::string_view expected = Prefix(*name, bytes);
    if (expected.empty()) {
      (void)RemoveFile(path);
    } else {
      SALLYPORT_CHECK(WriteTile(path, expected));
      last_partials_.push_back(path);
    }
  }
  return {};
}

TileWriter::Unsynced TileWriter::TakeUnsynced() {
  return {log_dir_, std::exchange(unsynced_, {}), std::exchange(unsynced_directories_, {}),
          bundle_number_ * kTileWidth};
}

Result<> TileWriter::Unsynced::Sync() const {
  for (const auto& path : files) SALLYPORT_CHECK(SyncPath(path));
  for (const auto& path : directories) {
    // One of partial files goes away when its tile is full.
    const Result<> synced = SyncPath(path);
    if (!synced && synced.error().code != Errc::not_found) return synced;
  }
  SALLYPORT_CHECK(SyncPath(log_dir / "checkpoint"));
  return SyncPath(log_dir);
}

Result<> TileWriter::SyncAll() {
  for (const auto& path : last_partials_) {
    if (std::filesystem::exists(path)) SALLYPORT_CHECK(SyncPath(path));
  }
  return TakeUnsynced().Sync();
}

Result<> TileWriter::WriteTile(const std::filesystem::path& path, std::string_view bytes) {
  if (keep_equal_) {
    const Result<std::string> old = ReadFile(path);
    if (old && *old == bytes) return {};
  }
  SALLYPORT_CHECK(EnsureDirectory(path));
  return tiles_.Write(path, bytes);
}

Result<> TileWriter::WriteFull(const TileName& name, std::string_view bytes) {
  const std::filesystem::path path = log_dir_ / TilePath(name);
  SALLYPORT_CHECK(WriteTile(path, bytes));
  unsynced_.push_back(path);
  unsynced_directories_.insert(path.parent_path());
  std::filesystem::path partial = path;
  partial += ".p";
  superseded_.push_back(std::move(partial));
  return {};
}

Result<> TileWriter::WritePartial(const TileName& name, std::string_view bytes) {
  const std::filesystem::path path = log_dir_ / TilePath(name);
  SALLYPORT_CHECK(WriteTile(path, bytes));
  if (last_partials_.size() > 64)
    last_partials_.erase(last_partials_.begin(), last_partials_.begin() + 32);
  last_partials_.push_back(path);
  unsynced_directories_.insert(path.parent_path());
  return {};
}

Result<> TileWriter::EnsureDirectory(const std::filesystem::path& file) {
  const std::filesystem::path directory = file.parent_path();
  if (!known_directories_.insert(directory).second) return {};
  SALLYPORT_CHECK(tiles_.MakeDirectory(directory));
  for (std::filesystem::path p = directory; p != log_dir_ && p.has_parent_path();
       p = p.parent_path()) {
    unsynced_directories_.insert(p.parent_path());
  }
  return {};
}

}  // namespace sallyport::ledger
