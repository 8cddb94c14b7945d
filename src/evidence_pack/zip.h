#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace sallyport::evidence_pack {

/// The archive of a pack: a ZIP file (PKWARE APPNOTE 6.3) in exactly one form, so that the same
/// files give the same bytes and a reader can tell every other byte. Members stand one behind the
/// other from the first byte on, raw deflate, UTF-8 names, the time of every member 1980-01-01
/// 00:00, no extra fields. Behind the central directory stands as the archive's comment "sha256:"
/// and the SHA-256 (hex) of all bytes before the end record: for accidents; forgeries are the
/// signature's business.
inline constexpr uint64_t kMostZipBytes = 0xfffffff0;  // no ZIP64
inline constexpr size_t kMostMembers = 65'000;

struct Member {
  std::string name;
  uint32_t crc = 0;
  uint64_t size = 0, packed = 0;
  uint64_t offset = 0;  // of its local header
};

/// Takes bytes, compresses them, and knows what a member and a manifest need to know of them. Keeps
/// 1 MiB, the rest in a file without a name in `directory`. A failure is kept and told by Close.
class Packed {
 public:
  explicit Packed(std::filesystem::path directory);
  ~Packed();
  Packed(const Packed&) = delete;
  Packed& operator=(const Packed&) = delete;

  void Write(std::string_view bytes);
  Result<> Close();

  // After Close:
  uint64_t size() const { return size_; }
  uint64_t packed_size() const { return packed_size_; }
  uint32_t crc() const { return crc_; }
  const std::string& sha256() const { return sha256_; }  // hex
  /// Appends the compressed bytes to `fd`.
  Result<> CopyTo(int fd) const;

 private:
  struct State;
  void Deflate(std::string_view bytes, bool last);
  void Spill();
  void Broken(const char* what);

  std::filesystem::path directory_;
  std::unique_ptr<State> state_;
  std::string buffer_;
  int spilled_ = -1;
  uint64_t size_ = 0, packed_size_ = 0;
  uint32_t crc_ = 0;
  std::string sha256_;
  Result<> failed_;
};

/// Writes an archive beside its place and renames it when it is whole: there never is a half one.
class ZipWriter {
 public:
  /// io_failed: nothing can be written beside `file`.
  static Result<ZipWriter> Create(const std::filesystem::path& file);
  ZipWriter(ZipWriter&& other) noexcept;
  ZipWriter& operator=(ZipWriter&&) = delete;
  ~ZipWriter();  // without Finish: removes what was written

  Result<> Add(const std::string& name, const Packed& packed);
  Result<> Finish();

 private:
  ZipWriter() = default;
  std::filesystem::path file_, temporary_;
  int fd_ = -1;
  uint64_t at_ = 0;
  std::vector<Member> members_;
};

/// Reads an archive of this form only. Strict: every byte that is not compressed content is
/// compared with what ZipWriter would have written.
class ZipReader {
 public:
  /// not_found, io_failed, or request_malformed: it is no such archive, with the first difference.
  static Result<ZipReader> Open(const std::filesystem::path& file);
  /// The same of bytes in memory.
  static Result<ZipReader> Read(std::string bytes);

  const std::vector<Member>& members() const { return members_; }
  /// The content, in pieces; request_malformed if it does not inflate to exactly what the
  /// directory says.
  template <class Sink>
  Result<> Inflate(const Member& member, Sink&& sink) const {
    return InflateTo(member, &sink, [](void* to, std::string_view piece) {
      (*static_cast<std::remove_reference_t<Sink>*>(to))(piece);
    });
  }
  /// At most `limit` bytes.
  Result<std::string> Content(const Member& member, uint64_t limit = 64u << 20) const;

 private:
  ZipReader() = default;
  Result<> Parse();
  Result<> InflateTo(const Member& member, void* to, void (*sink)(void*, std::string_view)) const;

  struct Mapping;
  std::shared_ptr<const Mapping> mapping_;
  std::string_view bytes_;
  std::vector<Member> members_;
};

}  // namespace sallyport::evidence_pack
