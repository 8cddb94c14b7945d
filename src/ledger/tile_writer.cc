#include "ledger/tile_writer.h"

#include <cstring>
#include <system_error>

#include "base/bytes.h"
#include "ledger/file.h"

namespace sallyport::ledger {

TileWriter::TileWriter(std::filesystem::path log_dir, uint64_t base,
                       std::vector<std::vector<Hash>> partials)
    : log_dir_(std::move(log_dir)), bundle_number_(base / kTileWidth), full_synced_(base) {
  levels_.resize(kTileLevels);
  for (unsigned level = 0; level < kTileLevels; ++level) {
    levels_[level].number = HashesAt(level, base) / kTileWidth;
    if (level >= partials.size()) continue;
    for (const Hash& h : partials[level])
      levels_[level].hashes.append(reinterpret_cast<const char*>(h.data()), h.size());
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

Result<> TileWriter::Publish(std::string_view note) {
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
  SALLYPORT_CHECK(ReplaceFile(log_dir_ / "checkpoint", note));
  for (const auto& directory : superseded_) {
    std::error_code ignored;  // a left-over partial tile is harmless
    std::filesystem::remove_all(directory, ignored);
  }
  superseded_.clear();
  return {};
}

Result<> TileWriter::SyncAll(bool partials) {
  for (const auto& path : unsynced_) SALLYPORT_CHECK(SyncPath(path));
  if (partials) {
    for (const auto& path : last_partials_) {
      if (std::filesystem::exists(path)) SALLYPORT_CHECK(SyncPath(path));
    }
  }
  for (const auto& path : unsynced_directories_) {
    if (std::filesystem::exists(path)) SALLYPORT_CHECK(SyncPath(path));
  }
  SALLYPORT_CHECK(SyncPath(log_dir_));  // the checkpoint's bytes were synced before its rename
  unsynced_.clear();
  unsynced_directories_.clear();
  full_synced_ = bundle_number_ * kTileWidth;
  return {};
}

Result<> TileWriter::WriteFull(const TileName& name, std::string_view bytes) {
  const std::filesystem::path path = log_dir_ / TilePath(name);
  bool equal = false;
  if (keep_equal_) {
    const Result<std::string> old = ReadFile(path);
    equal = old && *old == bytes;
  }
  if (!equal) {
    SALLYPORT_CHECK(EnsureDirectory(path));
    SALLYPORT_CHECK(WriteFile(path, bytes));
  }
  unsynced_.push_back(path);
  unsynced_directories_.insert(path.parent_path());
  std::filesystem::path partial = path;
  partial += ".p";
  superseded_.push_back(std::move(partial));
  return {};
}

Result<> TileWriter::WritePartial(const TileName& name, std::string_view bytes) {
  const std::filesystem::path path = log_dir_ / TilePath(name);
  SALLYPORT_CHECK(EnsureDirectory(path));
  SALLYPORT_CHECK(WriteFile(path, bytes));
  if (last_partials_.size() > 64)
    last_partials_.erase(last_partials_.begin(), last_partials_.begin() + 32);
  last_partials_.push_back(path);
  unsynced_directories_.insert(path.parent_path());
  return {};
}

Result<> TileWriter::EnsureDirectory(const std::filesystem::path& file) {
  const std::filesystem::path directory = file.parent_path();
  if (directory == last_directory_) return {};
  SALLYPORT_CHECK(MakeDirectories(directory));
  for (std::filesystem::path p = directory; p != log_dir_ && p.has_parent_path();
       p = p.parent_path()) {
    unsynced_directories_.insert(p.parent_path());
  }
  last_directory_ = directory;
  return {};
}

}  // namespace sallyport::ledger
