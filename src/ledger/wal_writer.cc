#include "ledger/wal_writer.h"

#include <algorithm>

#include "ledger/file.h"

namespace sallyport::ledger {

namespace {

constexpr size_t kTogether = 256;  // entries of one write; two pieces each, IOV_MAX is 1,024

}  // namespace

Result<> WalWriter::MakeRoom(size_t bytes, uint64_t next_index) {
  if (current_->Fits(bytes)) return {};
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
  return {};
}

Result<> WalWriter::Append(std::string_view frame, uint64_t next_index) {
  SALLYPORT_CHECK(MakeRoom(frame.size(), next_index));
  written_ = true;
  return current_->Append(frame);
}

Result<> WalWriter::AppendLeaves(std::span<const std::string_view> entries, uint64_t next_index,
                                 size_t& written) {
  written = 0;
  while (written < entries.size()) {
    SALLYPORT_CHECK(MakeRoom(kFrameHeaderBytes + entries[written].size(), next_index + written));
    SALLYPORT_CHECK(WriteSome(entries.subspan(written), next_index + written, written));
  }
  return {};
}

/// As many as fit into the file; adds to `written` what is whole there.
Result<> WalWriter::WriteSome(std::span<const std::string_view> entries, uint64_t next_index,
                              size_t& written) {
  size_t count = 0, bytes = 0;
  for (; count < std::min(entries.size(), kTogether); ++count) {
    const size_t size = kFrameHeaderBytes + entries[count].size();
    if (!current_->Fits(bytes + size)) break;
    bytes += size;
  }
  headers_.resize(count);
  pieces_.clear();
  for (size_t i = 0; i < count; ++i) {
    headers_[i] = FrameHeader({FrameType::leaf, next_index + i, entries[i]});
    pieces_.push_back({headers_[i].data(), headers_[i].size()});
    pieces_.push_back({const_cast<char*>(entries[i].data()), entries[i].size()});
  }
  written_ = true;
  size_t there = 0;
  const Result<> result = current_->Append(pieces_, there);
  for (size_t i = 0; i < count; ++i) {
    const size_t size = kFrameHeaderBytes + entries[i].size();
    if (there < size) break;
    there -= size;
    ++written;
  }
  return result;
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
    (void)RemoveFile(spare_->path());  // an empty file is skipped by recovery
    spare_.reset();
  }
  return current_->Trim();
}

}  // namespace sallyport::ledger
