#include "ledger/wal_reader.h"

#include <algorithm>
#include <chrono>
#include <optional>
#include <thread>
#include <utility>

#include "ledger/file.h"
#include "ledger/wal.h"

namespace sallyport::ledger {
namespace {

constexpr std::string_view kSegmentMagic = "sallyport-wal/1 ";

std::unexpected<Error> Refuse(std::string detail) {
  return Fail(Errc::ledger_unavailable, std::move(detail));
}

/// Takes the frames of one file into `wal`.
class SegmentScan {
 public:
  SegmentScan(WalContents& wal, std::string path, std::string_view bytes)
      : wal_(wal), path_(std::move(path)), reader_(bytes) {}

  Result<> Run() {
    while (const auto frame = reader_.Next()) SALLYPORT_CHECK(Take(*frame));
    if (reader_.CleanEnd()) return {};
    return JudgeTail();
  }

 private:
  uint64_t next() const { return wal_.first + wal_.leaves.size(); }

  Result<> Take(const Frame& frame) {
    switch (frame.type) {
      case FrameType::segment:
        if (!frame.payload.starts_with(kSegmentMagic))
          return Refuse(path_ + " has an unknown format version");
        boot_ = frame.payload.substr(kSegmentMagic.size());
        wal_.earlier_boot = boot_ != BootId();
        begin_ = frame.index;
        return {};
      case FrameType::checkpoint:
        Begin(begin_);
        wal_.notes.emplace_back(frame.index, frame.payload);
        return {};
      case FrameType::leaf:
        break;
    }
    Begin(begin_.value_or(frame.index));
    if (frame.index < wal_.first) Supersede(frame.index);
    if (frame.index < next()) {  // carried over into a new file before the old one was deleted
      if (wal_.leaves[frame.index - wal_.first] != frame.payload) {
        return Refuse(path_ + " holds a second, different entry " + std::to_string(frame.index));
      }
      return {};
    }
    // A power cut may keep a file's pages and lose those of the one before; a signed checkpoint
    // that covers what is missing is found out when the notes are compared with what there is.
    if (frame.index > next() && !boot_.empty() && boot_ != BootId()) {
      ++wal_.dropped_frames;
      wal_.dropped_bytes += kFrameHeaderBytes + frame.payload.size();
      return {};
    }
    if (frame.index > next()) {
      return Refuse(path_ + ": entry " + std::to_string(next()) + " is missing before entry " +
                    std::to_string(frame.index));
    }
    wal_.leaves.push_back(frame.payload);
    return {};
  }

  /// The first file says where the log begins, whatever became of its entries. One without a frame
  /// behind its first was never used.
  void Begin(std::optional<uint64_t> index) {
    if (wal_.begun || !index) return;
    wal_.begun = true;
    wal_.first = *index;
  }

  /// A start has carried all entries from `index` on over into this file, and died while it deleted
  /// the old ones.
  void Supersede(uint64_t index) {
    wal_.superseded.emplace_back(wal_.first, std::exchange(wal_.leaves, {}));
    wal_.first = index;
  }

  /// A crash tears the end of the log. What cannot be a crash: a signed checkpoint behind the bad
  /// frame that covers what is missing (it is written only after a sync of all it covers), or any
  /// whole entry behind it while the machine has not been restarted (only a power cut reorders
  /// writes).
  Result<> JudgeTail() {
    const std::vector<Frame> behind = reader_.Salvage(next(), next() + (uint64_t(1) << 32));
    const std::string at = path_ + " at byte " + std::to_string(reader_.offset());
    for (const Frame& frame : behind) {
      if (frame.type == FrameType::checkpoint && frame.index > next()) {
        return Refuse(
            at + ": entry " + std::to_string(next()) +
            " is corrupt, and a signed checkpoint covers it: restore the file from a copy");
      }
      if (frame.type == FrameType::leaf && (boot_.empty() || boot_ == BootId())) {
        return Refuse(at + ": entry " + std::to_string(next()) + " is corrupt, and entry " +
                      std::to_string(frame.index) + " behind it is whole: this is not a torn tail");
      }
    }
    wal_.dropped_bytes += reader_.TrailingBytes();
    wal_.dropped_frames += uint64_t(std::count_if(
        behind.begin(), behind.end(), [](const Frame& f) { return f.type == FrameType::leaf; }));
    return {};
  }

  WalContents& wal_;
  std::string path_;
  FrameReader reader_;
  std::string_view boot_;
  std::optional<uint64_t> begin_;  // what the segment frame says
};

/// What was carried over must be there again.
Result<> CheckSuperseded(const WalContents& wal) {
  for (const auto& [first, leaves] : wal.superseded) {
    for (size_t i = 0; i < leaves.size(); ++i) {
      const uint64_t index = first + i, end = wal.first + wal.leaves.size();
      if (index < wal.first || index >= end || wal.leaves[index - wal.first] != leaves[i]) {
        return Refuse("the write-ahead log holds a second, different entry " +
                      std::to_string(index) + ", or has lost it");
      }
    }
  }
  return {};
}

Result<WalContents> ReadOnce(const std::filesystem::path& wal_dir) {
  WalContents wal;
  SALLYPORT_TRY(std::vector<std::filesystem::path> paths, ListSegments(wal_dir));
  if (std::filesystem::exists(wal_dir / kReserveName)) paths.push_back(wal_dir / kReserveName);
  wal.files.reserve(paths.size());  // views into the strings: they must not move
  for (const auto& path : paths) {
    Result<std::string> bytes = ReadFile(path);
    if (!bytes) return std::unexpected(bytes.error());
    wal.files.push_back(*std::move(bytes));
    const size_t before = wal.leaves.size();
    SALLYPORT_CHECK(SegmentScan(wal, path.string(), wal.files.back()).Run());
    wal.reserve_used = path.filename() == kReserveName && wal.leaves.size() > before;
  }
  SALLYPORT_CHECK(CheckSuperseded(wal));
  return wal;
}

}  // namespace

Result<WalContents> ReadWal(const std::filesystem::path& wal_dir, bool live) {
  for (int attempt = 0;; ++attempt) {
    Result<WalContents> wal = ReadOnce(wal_dir);
    if (wal || !live || attempt == 3) return wal;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
}

}  // namespace sallyport::ledger
