#include "ledger/reader.h"

#include <algorithm>
#include <memory>
#include <system_error>

#include "ledger/file.h"
#include "ledger/wal_reader.h"

namespace sallyport::ledger {

Result<std::string> LogDirectory::Read(const std::string& name) const {
  return ReadFile(log_dir_ / name, size_t(64) << 20);
}

Result<std::vector<std::string>> LogDirectory::List() const {
  std::vector<std::string> names;
  std::error_code error;
  std::filesystem::recursive_directory_iterator it(log_dir_, error), end;
  for (; !error && it != end; it.increment(error)) {
    if (it.depth() == 0 && it->path().filename() == kSpareDirectory) it.disable_recursion_pending();
    if (!it->is_directory(error)) names.push_back(it->path().lexically_relative(log_dir_).string());
  }
  if (error) return Fail(Errc::io_failed, "list " + log_dir_.string() + ": " + error.message());
  std::sort(names.begin(), names.end());
  return names;
}

Result<std::string> ReadTile(const LogFiles& files, const TileName& name) {
  Result<std::string> bytes = files.Read(TilePath(name));
  if (bytes || name.width == kTileWidth || bytes.error().code != Errc::not_found) return bytes;
  TileName full = name;
  full.width = kTileWidth;
  Result<std::string> wider = files.Read(TilePath(full));
  if (!wider) return bytes;  // the partial tile is the one that should be there
  if (name.entries) return wider;
  return wider->substr(0, name.width * sizeof(Hash));
}

SubtreeReader TileSubtrees(const LogFiles& files, uint64_t size) {
  auto cache = std::make_shared<std::map<std::pair<unsigned, uint64_t>, std::string>>();
  return [&files, size, cache](unsigned height, uint64_t index) -> Result<Hash> {
    const unsigned level = height / 8, above = height % 8;
    const uint64_t first = index << above;  // hash of `level`
    const uint64_t tile = first / kTileWidth;
    const unsigned offset = unsigned(first % kTileWidth), count = 1u << above;
    auto found = cache->find({level, tile});
    if (found == cache->end()) {
      const uint64_t hashes = HashesAt(level, size);
      if (tile * kTileWidth >= hashes) return Fail(Errc::not_found, "beyond the tree");
      const unsigned width = unsigned(std::min<uint64_t>(kTileWidth, hashes - tile * kTileWidth));
      const TileName name{false, level, tile, width};
      SALLYPORT_TRY(std::string bytes, ReadTile(files, name));
      if (bytes.size() != width * sizeof(Hash)) {
        return Fail(Errc::request_malformed, TilePath(name) + " has a wrong length");
      }
      if (cache->size() > 1024) cache->clear();
      found = cache->emplace(std::pair(level, tile), std::move(bytes)).first;
    }
    if ((offset + count) * sizeof(Hash) > found->second.size())
      return Fail(Errc::not_found, "beyond the tree");
    return ReduceTile(
        reinterpret_cast<const uint8_t*>(found->second.data()) + offset * sizeof(Hash), count);
  };
}

Result<LogReader> LogReader::Open(std::filesystem::path data_dir) {
  LogReader reader(std::move(data_dir));
  SALLYPORT_CHECK(reader.Refresh());
  return reader;
}

Result<> LogReader::Refresh() {
  const std::filesystem::path path = data_dir_ / "log" / "checkpoint";
  // The writer may delete a segment between two reads here; then its entries are in tiles, and a
  // newer checkpoint says so.
  for (int attempt = 0;; ++attempt) {
    Result<std::string> note = ReadFile(path);
    if (!note && note.error().code == Errc::not_found) {
      return Fail(Errc::not_found,
                  data_dir_.string() + " holds no log (there is no log/checkpoint)");
    }
    if (!note) return std::unexpected(note.error());
    SALLYPORT_TRY(Checkpoint checkpoint, PeekCheckpoint(*note));
    const Result<WalContents> wal = ReadWal(data_dir_ / "wal", true);
    const bool gap = wal && !wal->leaves.empty() && wal->first > checkpoint.size;
    if ((!wal || gap) && attempt < 5) continue;
    if (!wal) return std::unexpected(wal.error());
    if (gap)
      return Fail(Errc::io_failed, "entries are missing between checkpoint and write-ahead log");
    note_ = *std::move(note);
    checkpoint_ = std::move(checkpoint);
    tail_.clear();
    for (uint64_t i = checkpoint_.size; i < wal->first + wal->leaves.size(); ++i) {
      tail_.emplace_back(wal->leaves[i - wal->first]);
    }
    return {};
  }
}

Result<> LogReader::LoadBundle(uint64_t number) {
  const unsigned width =
      unsigned(std::min<uint64_t>(kTileWidth, checkpoint_.size - number * kTileWidth));
  if (number == bundle_number_ && width <= bundle_width_) return {};
  bundle_number_ = ~uint64_t(0);
  const LogDirectory files(data_dir_ / "log");
  SALLYPORT_TRY(bundle_, ReadTile(files, {true, 0, number, width}));
  auto entries = SplitBundle(bundle_, width);
  bundle_width_ = width;
  if (!entries && width < kTileWidth) {  // the full bundle in place of the partial one
    entries = SplitBundle(bundle_, kTileWidth);
    bundle_width_ = kTileWidth;
  }
  if (!entries)
    return Fail(Errc::request_malformed, TilePath({true, 0, number, width}) + " is malformed");
  bundle_entries_ = *std::move(entries);
  bundle_number_ = number;
  return {};
}

Result<std::string> LogReader::Read(uint64_t index) {
  std::string out;
  SALLYPORT_CHECK(ForEach(index, index + 1, [&](uint64_t, std::string_view entry) -> Result<bool> {
    out = entry;
    return true;
  }));
  return out;
}

Result<> LogReader::ForEach(uint64_t from, uint64_t to,
                            const std::function<Result<bool>(uint64_t, std::string_view)>& visit) {
  if (to > size()) {
    return Fail(Errc::not_found, "there is no entry " + std::to_string(std::max(from, size())) +
                                     ": the log has " + std::to_string(size()));
  }
  for (uint64_t i = from; i < to; ++i) {
    std::string_view entry;
    if (i >= checkpoint_.size) {
      entry = tail_[i - checkpoint_.size];
    } else {
      SALLYPORT_CHECK(LoadBundle(i / kTileWidth));
      entry = bundle_entries_[i % kTileWidth];
    }
    SALLYPORT_TRY(const bool more, visit(i, entry));
    if (!more) break;
  }
  return {};
}

}  // namespace sallyport::ledger
