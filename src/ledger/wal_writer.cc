#include "ledger/wal_writer.h"

#include <system_error>

namespace sallyport::ledger {

Result<> WalWriter::Append(std::string_view frame, uint64_t next_index) {
  if (!current_->Fits(frame.size())) {
    std::shared_ptr<Segment> next = std::move(spare_);
    spare_.reset();
    if (next) {
      SALLYPORT_CHECK(next->Begin(next_index));
      SALLYPORT_CHECK(next->Rename(SegmentPath(wal_dir_, SegmentNumber(next->path()))));
    } else {  // the spare is late: go on without zeros, slower but correct
      const auto path = SegmentPath(wal_dir_, next_number_++);
      SALLYPORT_TRY(next, Segment::Create(path, segment_bytes_, next_index, false));
    }
    closed_.push_back({current_->path(), next_index});
    unsynced_.push_back(std::exchange(current_, std::move(next)));
  }
  written_ = true;
  return current_->Append(frame);
}

std::vector<std::shared_ptr<Segment>> WalWriter::TakeUnsynced() {
  std::vector<std::shared_ptr<Segment>> out = std::exchange(unsynced_, {});
  if (std::exchange(written_, false)) out.push_back(current_);
  return out;
}

std::filesystem::path WalWriter::WantedSpare() {
  if (spare_) return {};
  return SparePath(wal_dir_, next_number_++);
}

bool WalWriter::PutSpare(std::shared_ptr<Segment> spare) {
  // Recovery reads the files in the order of their numbers, so an older number may not be used any
  // more.
  if (SegmentNumber(spare->path()) < SegmentNumber(current_->path())) return false;
  spare_ = std::move(spare);
  return true;
}

Result<> WalWriter::Finish() {
  if (spare_) {
    std::error_code ignored;  // an empty file is skipped by recovery
    std::filesystem::remove(spare_->path(), ignored);
    spare_.reset();
  }
  return current_->Trim();
}

}  // namespace sallyport::ledger
