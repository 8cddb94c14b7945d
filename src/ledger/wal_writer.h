#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "ledger/wal.h"

namespace sallyport::ledger {

/// The chain of segment files. The owner serialises all calls; the segments that TakeUnsynced
/// returns may be synced outside of that.
class WalWriter {
 public:
  /// A file that is full and whose entries are below `end`.
  struct Closed {
    std::filesystem::path path;
    uint64_t end;
  };

  WalWriter(std::filesystem::path wal_dir, size_t segment_bytes, std::shared_ptr<Segment> first)
      : wal_dir_(std::move(wal_dir)),
        segment_bytes_(segment_bytes),
        current_(std::move(first)),
        next_number_(SegmentNumber(current_->path()) + 1) {}

  /// Appends one frame. `next_index`: of the first leaf that a new file would hold.
  Result<> Append(std::string_view frame, uint64_t next_index);
  /// Appends entries as leaves from `next_index` on, those of one file with one write(2).
  /// `written`: how many are whole in the files, also after an error.
  Result<> AppendLeaves(std::span<const std::string_view> entries, uint64_t next_index,
                        size_t& written);

  /// The files written to since the last call.
  std::vector<std::shared_ptr<Segment>> TakeUnsynced();
  std::vector<Closed> TakeClosed() { return std::exchange(closed_, {}); }

  /// Where the next file should be made ahead of time; empty when there is one. Reserves the name.
  std::filesystem::path WantedSpare();
  /// False if the log went on without it in the meantime: then the caller deletes the file.
  bool PutSpare(std::shared_ptr<Segment> spare);

  /// Gives back unused space and deletes the spare file.
  Result<> Finish();

 private:
  Result<> MakeRoom(size_t bytes, uint64_t next_index);
  Result<> WriteSome(std::span<const std::string_view> entries, uint64_t next_index,
                     size_t& written);

  std::filesystem::path wal_dir_;
  size_t segment_bytes_;
  std::shared_ptr<Segment> current_;
  std::shared_ptr<Segment> spare_;
  uint64_t next_number_;
  std::vector<std::shared_ptr<Segment>> unsynced_;  // full ones
  std::vector<Closed> closed_;
  bool written_ = false;
  std::vector<std::array<char, kFrameHeaderBytes>> headers_;  // scratch, like pieces_
  std::vector<iovec> pieces_;
};

}  // namespace sallyport::ledger
