#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "ledger/checkpoint.h"
#include "ledger/tile.h"
#include "ledger/tree.h"

namespace sallyport::ledger {

/// Where the files of a log are read from, by their names relative to the log's root.
class LogFiles {
 public:
  virtual ~LogFiles() = default;
  /// not_found if there is no such file.
  virtual Result<std::string> Read(const std::string& name) const = 0;
  /// All regular files, sorted.
  virtual Result<std::vector<std::string>> List() const = 0;
};

/// `<data_dir>/log`.
class LogDirectory final : public LogFiles {
 public:
  explicit LogDirectory(std::filesystem::path log_dir) : log_dir_(std::move(log_dir)) {}
  Result<std::string> Read(const std::string& name) const override;
  Result<std::vector<std::string>> List() const override;

 private:
  std::filesystem::path log_dir_;
};

/// The file of a tile, or its full tile where the partial one has gone; exactly `name.width` hashes
/// or entries are promised by the caller's checkpoint.
Result<std::string> ReadTile(const LogFiles& files, const TileName& name);

/// Reads subtree hashes of a log of `size` leaves out of its tiles, unverified. `files` must
/// outlive it.
SubtreeReader TileSubtrees(const LogFiles& files, uint64_t size);

/// Reads entries by index while a gateway is writing them, and after it was killed: what the
/// checkpoint covers out of the bundles, the rest out of the write-ahead log. Verifies nothing (see
/// verify.h). Not thread-safe.
class LogReader {
 public:
  /// not_found if `data_dir` holds no log.
  static Result<LogReader> Open(std::filesystem::path data_dir);

  /// Takes up what was written since.
  Result<> Refresh();

  uint64_t size() const { return checkpoint_.size + tail_.size(); }
  const Checkpoint& checkpoint() const { return checkpoint_; }
  /// The published checkpoint's note, verbatim.
  const std::string& note() const { return note_; }

  Result<std::string> Read(uint64_t index);
  /// Calls `visit` for entries from..to-1 in order until it returns false.
  Result<> ForEach(
      uint64_t from, uint64_t to,
      const std::function<Result<bool>(uint64_t index, std::string_view entry)>& visit);

 private:
  explicit LogReader(std::filesystem::path data_dir) : data_dir_(std::move(data_dir)) {}
  Result<> LoadBundle(uint64_t number);

  std::filesystem::path data_dir_;
  Checkpoint checkpoint_;
  std::string note_;
  std::vector<std::string> tail_;  // entries behind the checkpoint
  uint64_t bundle_number_ = ~uint64_t(0);
  unsigned bundle_width_ = 0;
  std::string bundle_;
  std::vector<std::string_view> bundle_entries_;
};

}  // namespace sallyport::ledger
