#include "ledger/wal.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <nmmintrin.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bytes.h"
#include "ledger/disk.h"
#include "ledger/file.h"

namespace sallyport::ledger {
namespace {

uint64_t LoadBe64(const uint8_t* p) { return uint64_t(LoadBe32(p)) << 32 | LoadBe32(p + 4); }
void StoreBe64(uint8_t* p, uint64_t v) {
  StoreBe32(p, uint32_t(v >> 32)), StoreBe32(p + 4, uint32_t(v));
}

/// SSE 4.2 is part of the x86-64-v2 baseline that the project is built for.
uint32_t ExtendCrc(uint32_t crc, std::string_view bytes) {
  const char* p = bytes.data();
  size_t n = bytes.size();
  uint64_t c = crc;
  for (; n >= 8; p += 8, n -= 8) {
    uint64_t word;
    std::memcpy(&word, p, 8);
    c = _mm_crc32_u64(c, word);
  }
  uint32_t c32 = uint32_t(c);
  for (; n > 0; ++p, --n) c32 = _mm_crc32_u8(c32, uint8_t(*p));
  return c32;
}

std::string SegmentFrame(uint64_t first_index) {
  const std::string payload = "sallyport-wal/1 " + BootId();
  std::string frame;
  AppendFrame(frame, {FrameType::segment, first_index, payload});
  return frame;
}

Result<> FillWithZeros(int fd, size_t bytes, const std::filesystem::path& path) {
  // Written, not only allocated: an unwritten extent would cost a journal commit at each first
  // fdatasync.
  static const std::string zeros(256 << 10, '\0');
  for (size_t done = 0; done < bytes;) {
    const iovec piece{const_cast<char*>(zeros.data()), std::min(zeros.size(), bytes - done)};
    const ssize_t n = TheDisk().Write(fd, {&piece, 1}, off_t(done));
    if (n < 0) {
      if (errno == EINTR) continue;
      return std::unexpected(SystemError("fill", path));
    }
    done += size_t(n);
  }
  return {};
}

}  // namespace

uint32_t Crc32c(std::string_view bytes) { return ~ExtendCrc(~0u, bytes); }

std::array<char, kFrameHeaderBytes> FrameHeader(const Frame& frame) {
  std::array<char, kFrameHeaderBytes> bytes;
  auto* header = reinterpret_cast<uint8_t*>(bytes.data());
  StoreBe32(header, uint32_t(frame.payload.size()));
  StoreBe64(header + 8, frame.index);
  header[16] = uint8_t(frame.type);
  const uint32_t crc = ExtendCrc(~0u, {bytes.data() + 8, 9});
  StoreBe32(header + 4, ~ExtendCrc(crc, frame.payload));
  return bytes;
}

void AppendFrame(std::string& out, const Frame& frame) {
  const auto header = FrameHeader(frame);
  out.append(header.data(), header.size());
  out.append(frame.payload);
}

std::optional<Frame> FrameReader::At(size_t offset) const {
  if (bytes_.size() - offset < kFrameHeaderBytes) return std::nullopt;
  const uint8_t* p = reinterpret_cast<const uint8_t*>(bytes_.data()) + offset;
  const size_t length = LoadBe32(p);
  const uint8_t type = p[16];
  if (type != uint8_t(FrameType::leaf) && type != uint8_t(FrameType::checkpoint) &&
      type != uint8_t(FrameType::segment)) {
    return std::nullopt;
  }
  if (length > kMaxFramePayload || length > bytes_.size() - offset - kFrameHeaderBytes)
    return std::nullopt;
  if (Crc32c(bytes_.substr(offset + 8, 9 + length)) != LoadBe32(p + 4)) return std::nullopt;
  return Frame{FrameType(type), LoadBe64(p + 8), bytes_.substr(offset + kFrameHeaderBytes, length)};
}

std::optional<Frame> FrameReader::Next() {
  std::optional<Frame> frame = At(offset_);
  if (frame) offset_ += kFrameHeaderBytes + frame->payload.size();
  return frame;
}

size_t FrameReader::TrailingBytes() const {
  const size_t last = bytes_.find_last_not_of('\0');
  return last == std::string_view::npos || last < offset_ ? 0 : last + 1 - offset_;
}

bool FrameReader::CleanEnd() const { return TrailingBytes() == 0; }

std::vector<Frame> FrameReader::Salvage(uint64_t low, uint64_t high) const {
  std::vector<Frame> found;
  const size_t end = offset_ + TrailingBytes();
  for (size_t at = offset_ + 1; at + kFrameHeaderBytes <= end;) {
    const uint64_t index = LoadBe64(reinterpret_cast<const uint8_t*>(bytes_.data()) + at + 8);
    std::optional<Frame> frame;
    if (index >= low && index <= high) frame = At(at);  // the CRC only where the index is plausible
    if (frame) {
      found.push_back(*frame);
      at += kFrameHeaderBytes + frame->payload.size();
    } else {
      ++at;
    }
  }
  return found;
}

std::string BootId() { return TheDisk().BootId(); }

Result<std::shared_ptr<Segment>> Segment::Create(const std::filesystem::path& path, size_t bytes,
                                                 uint64_t first_index, bool fill) {
  const int fd =
      TheDisk().Open(path.string(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd < 0) return std::unexpected(SystemError("create", path));
  std::shared_ptr<Segment> segment(new Segment(fd, path, bytes));
  if (fill) SALLYPORT_CHECK(FillWithZeros(fd, bytes, path));
  SALLYPORT_CHECK(segment->Append(SegmentFrame(first_index)));
  if (TheDisk().Sync(fd) != 0) return std::unexpected(SystemError("sync", path));
  SALLYPORT_CHECK(SyncPath(path.parent_path()));
  return segment;
}

Result<std::shared_ptr<Segment>> Segment::Recycle(const std::filesystem::path& path, size_t bytes) {
  const int fd = TheDisk().Open(path.string(), O_RDWR | O_CLOEXEC | O_NOFOLLOW, 0);
  if (fd < 0) return std::unexpected(SystemError("open", path));
  std::shared_ptr<Segment> segment(new Segment(fd, path, bytes));
  struct stat st{};
  if (::fstat(fd, &st) != 0) return std::unexpected(SystemError("stat", path));
  if (size_t(st.st_size) != bytes)
    return Fail(Errc::io_failed, path.string() + " has another size");
  SALLYPORT_CHECK(FillWithZeros(fd, bytes, path));
  segment->BeginSync();
  return segment;
}

Result<> Segment::Prepare(const std::filesystem::path& path, uint64_t first_index) {
  SALLYPORT_CHECK(Begin(first_index));
  if (TheDisk().Sync(fd_) != 0) return std::unexpected(SystemError("sync", path_));
  SALLYPORT_CHECK(Rename(path));
  return SyncPath(path.parent_path());
}

Segment::~Segment() { ::close(fd_); }

Result<> Segment::Append(std::string_view frame) {
  const iovec piece{const_cast<char*>(frame.data()), frame.size()};
  size_t ignored = 0;
  return Append({&piece, 1}, ignored);
}

Result<> Segment::Append(std::span<const iovec> pieces, size_t& written) {
  size_t bytes = 0;
  for (const iovec& piece : pieces) bytes += piece.iov_len;
  ssize_t n;
  do {
    n = TheDisk().Write(fd_, pieces, off_t(offset_));
  } while (n < 0 && errno == EINTR);
  written = n < 0 ? 0 : size_t(n);
  if (n < 0) return std::unexpected(SystemError("write", path_));
  if (written != bytes) {
    return Fail(Errc::io_failed, "write " + path_.string() + ": only a part was written");
  }
  offset_ += bytes;
  return {};
}

Result<> Segment::Begin(uint64_t first_index) {
  offset_ = 0;
  return Append(SegmentFrame(first_index));
}

void Segment::BeginSync() { (void)::sync_file_range(fd_, 0, 0, SYNC_FILE_RANGE_WRITE); }

Result<> Segment::Sync() {
  if (TheDisk().SyncData(fd_) != 0) return std::unexpected(SystemError("sync", path_));
  return {};
}

Result<> Segment::Rename(const std::filesystem::path& path) {
  SALLYPORT_CHECK(RenameFile(path_, path));
  path_ = path;
  return {};
}

Result<> Segment::Trim() {
  if (TheDisk().Truncate(fd_, off_t(offset_)) != 0)
    return std::unexpected(SystemError("trim", path_));
  if (TheDisk().Sync(fd_) != 0) return std::unexpected(SystemError("sync", path_));
  return {};
}

std::filesystem::path SegmentPath(const std::filesystem::path& wal_dir, uint64_t number) {
  char name[32];
  std::snprintf(name, sizeof name, "%012llu.wal", static_cast<unsigned long long>(number));
  return wal_dir / name;
}

std::filesystem::path SparePath(const std::filesystem::path& wal_dir, uint64_t number) {
  std::filesystem::path path = SegmentPath(wal_dir, number);
  path += ".spare";
  return path;
}

uint64_t SegmentNumber(const std::filesystem::path& path) {
  return std::strtoull(path.filename().c_str(), nullptr, 10);
}

Result<std::vector<std::filesystem::path>> ListSegments(const std::filesystem::path& wal_dir) {
  std::vector<std::filesystem::path> paths;
  std::error_code error;
  for (std::filesystem::directory_iterator it(wal_dir, error), end; !error && it != end;
       it.increment(error)) {
    const std::string name = it->path().filename().string();
    const bool segment = name.size() == 16 && name.ends_with(".wal");
    const bool spare = name.size() == 22 && name.ends_with(".wal.spare");
    if ((segment || spare) &&
        std::all_of(name.begin(), name.begin() + 12, [](char c) { return c >= '0' && c <= '9'; })) {
      paths.push_back(it->path());
    }
  }
  if (error == std::errc::no_such_file_or_directory) return paths;
  if (error) return Fail(Errc::io_failed, "list " + wal_dir.string() + ": " + error.message());
  std::sort(paths.begin(), paths.end());
  return paths;
}

}  // namespace sallyport::ledger
