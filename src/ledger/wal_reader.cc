#include "ledger/wal_reader.h"

#include <algorithm>
#include <chrono>
#include <thread>

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
        return {};
      case FrameType::checkpoint:
        wal_.notes.emplace_back(frame.index, frame.payload);
        return {};
      case FrameType::leaf:
        break;
    }
    if (wal_.leaves.empty()) wal_.first = frame.index;
    if (frame.index < next()) {  // carried over into a new file before the old one was deleted
      if (frame.index < wal_.first || wal_.leaves[frame.index - wal_.first] != frame.payload) {
        return Refuse(path_ + " holds a second, different entry " + std::to_string(frame.index));
      }
      return {};
    }
    if (frame.index > next()) {
      return Refuse(path_ + ": entry " + std::to_string(next()) + " is missing before entry " +
                    std::to_string(frame.index));
    }
    wal_.leaves.push_back(frame.payload);
    return {};
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
};

Result<WalContents> ReadOnce(const std::filesystem::path& wal_dir) {
  WalContents wal;
  SALLYPORT_TRY(std::vector<std::filesystem::path> paths, ListSegments(wal_dir));
  if (std::filesystem::exists(wal_dir / kReserveName)) paths.push_back(wal_dir / kReserveName);
  wal.files.reserve(paths.size());  // views into the strings: they must not move
  for (const auto& path : paths) {
    Result<std::string> bytes = ReadFile(path);
    if (!bytes) return std::unexpected(bytes.error());
    wal.files.push_back(*std::move(bytes));
    SALLYPORT_CHECK(SegmentScan(wal, path.string(), wal.files.back()).Run());
  }
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
