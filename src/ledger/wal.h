#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <sys/uio.h>
#include <vector>

#include "base/result.h"

namespace sallyport::ledger {

/// The write-ahead log: zero-filled files `<data_dir>/wal/<number>.wal` of frames
/// (docs/formats/wal.md). All integers are big-endian.
///
///   u32 length of the payload | u32 CRC-32C of what follows | u64 log index | u8 type | payload
///
/// A length and CRC of zero end a file, so space that was never written reads as the end.
enum class FrameType : uint8_t {
  leaf = 1,        // payload: the entry; index: its place in the log
  checkpoint = 3,  // payload: a signed note; index: its tree size. Written after an fdatasync of
                   // all it covers
  segment = 5,  // payload: "sallyport-wal/1 <boot id>"; index: of the first leaf. Begins every file
};

inline constexpr size_t kFrameHeaderBytes = 17;
inline constexpr size_t kMaxFramePayload = 65'535;

struct Frame {
  FrameType type = FrameType::leaf;
  uint64_t index = 0;
  std::string_view payload;
};

/// CRC-32C (Castagnoli, RFC 3720 appendix B.4).
uint32_t Crc32c(std::string_view bytes);

/// The bytes in front of a frame's payload.
std::array<char, kFrameHeaderBytes> FrameHeader(const Frame& frame);

/// Appends the frame's bytes to `out`.
void AppendFrame(std::string& out, const Frame& frame);

/// Reads a segment's frames in order. Borrows `bytes`.
class FrameReader {
 public:
  explicit FrameReader(std::string_view bytes) : bytes_(bytes) {}
  /// The next whole frame, or nullopt at the end or at the first bad byte.
  std::optional<Frame> Next();
  size_t offset() const { return offset_; }  // behind the latest frame
  /// Whether only zeros are left: the file ends here as it should.
  bool CleanEnd() const;
  /// How many bytes follow up to the last one that is not zero.
  size_t TrailingBytes() const;
  /// Searches every later offset for whole frames with an index in [low, high]: what stands behind
  /// a bad frame. At most one frame per offset, in order.
  std::vector<Frame> Salvage(uint64_t low, uint64_t high) const;

 private:
  std::optional<Frame> At(size_t offset) const;
  std::string_view bytes_;
  size_t offset_ = 0;
};

/// Identifies the running boot of this machine: a file that was written in the same boot has lost
/// nothing to a power cut. "unknown" where the kernel does not tell.
std::string BootId();

/// One file that is being written. Append has one caller at a time; Sync may run beside it.
class Segment {
 public:
  /// Makes the file with its segment frame and syncs it. Never replaces a file. `fill`: all `bytes`
  /// are written with zeros first, so that later syncs need no journal commit.
  static Result<std::shared_ptr<Segment>> Create(const std::filesystem::path& path, size_t bytes,
                                                 uint64_t first_index, bool fill = true);
  /// Takes a file that recovery does not look at any more and fills its `bytes` with zeros again:
  /// blocks and pages that are there already cost a fraction of new ones. io_failed if its size is
  /// another. Nothing is synced: see Prepare.
  static Result<std::shared_ptr<Segment>> Recycle(const std::filesystem::path& path, size_t bytes);
  /// What Create has done: writes the segment frame, syncs, takes the name `path`, syncs the
  /// directory.
  Result<> Prepare(const std::filesystem::path& path, uint64_t first_index);
  ~Segment();
  Segment(const Segment&) = delete;
  Segment& operator=(const Segment&) = delete;

  bool Fits(size_t bytes) const { return offset_ + bytes <= size_; }
  /// One write(2). A short write is an error; nothing may be written to this file afterwards.
  Result<> Append(std::string_view frame);
  /// The same for pieces that lie apart, at most IOV_MAX. `written`: how many bytes got there, also
  /// after an error.
  Result<> Append(std::span<const iovec> pieces, size_t& written);
  /// Begins writing out what was appended, without waiting: a hint, so that the device works while
  /// the caller hashes and signs.
  void BeginSync();
  Result<> Sync();  // fdatasync
  /// Writes the first index into the segment frame: a spare file gets it when it is taken into use.
  Result<> Begin(uint64_t first_index);
  /// A spare file gets its name when it is taken into use. The directory has to be synced before
  /// anything in it counts as durable.
  Result<> Rename(const std::filesystem::path& path);
  /// Gives the unused rest of the file back to the file system.
  Result<> Trim();
  const std::filesystem::path& path() const { return path_; }

 private:
  Segment(int fd, std::filesystem::path path, size_t size)
      : fd_(fd), path_(std::move(path)), size_(size) {}
  int fd_;
  std::filesystem::path path_;
  size_t size_;
  size_t offset_ = 0;
};

/// The segment files of `wal_dir`, also spare ones (a power cut may have lost their renaming), in
/// order of their numbers; other files are left alone.
Result<std::vector<std::filesystem::path>> ListSegments(const std::filesystem::path& wal_dir);
std::filesystem::path SegmentPath(const std::filesystem::path& wal_dir, uint64_t number);
std::filesystem::path SparePath(const std::filesystem::path& wal_dir, uint64_t number);
uint64_t SegmentNumber(const std::filesystem::path& path);

/// A retired segment that waits to be used again; recovery does not look at it, a start deletes it.
inline constexpr std::string_view kRetiredName = "retired";

/// The segment with room for one last entry that tells of the failure, so that a full disk cannot
/// silence it.
inline constexpr std::string_view kReserveName = "reserve";
inline constexpr size_t kReserveBytes = 8192;

}  // namespace sallyport::ledger
