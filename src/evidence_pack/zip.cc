#include "evidence_pack/zip.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <openssl/evp.h>
#include <unistd.h>
#include <zlib.h>

#include "base/bytes.h"
#include "base/ids.h"
#include "evidence_pack/digest.h"
#include "evidence_pack/zip_format.h"

namespace sallyport::evidence_pack {
namespace {

namespace fs = std::filesystem;
constexpr size_t kKept = 1 << 20;
constexpr int kLevel = 4;  // 5 % larger than 6, in half the time

Result<> WriteAll(int fd, std::string_view bytes, const std::string& where) {
  while (!bytes.empty()) {
    const ssize_t n = ::write(fd, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return Fail(Errc::io_failed, "cannot write " + where + ": " + std::strerror(errno));
    bytes.remove_prefix(size_t(n));
  }
  return {};
}

}  // namespace

struct Packed::State {
  z_stream stream{};
  Digest digest;
  bool open = false;
};

Packed::Packed(fs::path directory) : directory_(std::move(directory)), state_(new State) {
  if (deflateInit2(&state_->stream, kLevel, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY) != Z_OK) {
    Broken("no memory to compress");
  } else {
    state_->open = true;
  }
}

Packed::~Packed() {
  if (state_->open) deflateEnd(&state_->stream);
  if (spilled_ >= 0) ::close(spilled_);
}

void Packed::Broken(const char* what) {
  if (failed_) failed_ = Fail(Errc::io_failed, what);
}

void Packed::Write(std::string_view bytes) {
  if (!failed_ || !state_->open) return;
  size_ += bytes.size();
  if (size_ > kMostZipBytes)
    return Broken("a file of the pack would be larger than 4 GiB; take a shorter period");
  crc_ = uint32_t(crc32_z(crc_, reinterpret_cast<const Bytef*>(bytes.data()), bytes.size()));
  state_->digest.Add(bytes);
  while (!bytes.empty() && failed_) {
    const size_t piece = std::min<size_t>(bytes.size(), 1u << 30);
    Deflate(bytes.substr(0, piece), false);
    bytes.remove_prefix(piece);
  }
}

void Packed::Deflate(std::string_view bytes, bool last) {
  z_stream& z = state_->stream;
  z.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  z.avail_in = uInt(bytes.size());
  int state = Z_OK;
  do {
    const size_t before = buffer_.size();
    buffer_.resize(before + (32 << 10));
    z.next_out = reinterpret_cast<Bytef*>(buffer_.data() + before);
    z.avail_out = 32 << 10;
    state = deflate(&z, last ? Z_FINISH : Z_NO_FLUSH);
    const size_t made = (32 << 10) - z.avail_out;
    buffer_.resize(before + made);
    packed_size_ += made;
    if (state == Z_STREAM_ERROR) return Broken("cannot compress");
    if (buffer_.size() >= kKept) Spill();
  } while (failed_ && (z.avail_out == 0 || (last && state != Z_STREAM_END)));
}

void Packed::Spill() {
  if (spilled_ < 0) {
    spilled_ = ::open(directory_.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (spilled_ < 0) {  // a file system without O_TMPFILE
      std::string name = (directory_ / ".sallyport-pack-XXXXXX").string();
      spilled_ = ::mkostemp(name.data(), O_CLOEXEC);
      if (spilled_ >= 0) ::unlink(name.c_str());
    }
    if (spilled_ < 0) {
      failed_ = Fail(Errc::io_failed,
                     "cannot write in " + directory_.string() + ": " + std::strerror(errno));
      return;
    }
  }
  failed_ = WriteAll(spilled_, buffer_, "in " + directory_.string());
  buffer_.clear();
}

Result<> Packed::Close() {
  if (failed_ && state_->open) Deflate({}, true);
  if (state_->open) deflateEnd(&state_->stream);
  state_->open = false;
  sha256_ = state_->digest.Hex();
  return failed_;
}

Result<> Packed::CopyTo(int fd) const {
  if (spilled_ >= 0) {
    std::string piece(1 << 20, '\0');
    for (off_t at = 0;;) {
      const ssize_t n = ::pread(spilled_, piece.data(), piece.size(), at);
      if (n < 0) return Fail(Errc::io_failed, "cannot read what was set aside for the pack");
      if (n == 0) break;
      SALLYPORT_CHECK(WriteAll(fd, std::string_view(piece).substr(0, size_t(n)), "the pack"));
      at += n;
    }
  }
  return WriteAll(fd, buffer_, "the pack");
}

bool GoodName(std::string_view name) {
  if (name.empty() || name.size() > 200 || name.front() == '/' || name.back() == '/') return false;
  for (const char c : name) {
    if (c <= ' ' || c > '~' || c == '\\' || c == ':') return false;
  }
  for (size_t at = 0; at <= name.size();) {
    const size_t slash = std::min(name.find('/', at), name.size());
    const std::string_view part = name.substr(at, slash - at);
    if (part.empty() || part == "." || part == "..") return false;
    at = slash + 1;
  }
  return true;
}

Result<ZipWriter> ZipWriter::Create(const fs::path& file) {
  ZipWriter out;
  out.file_ = file;
  const fs::path parent = file.has_parent_path() ? file.parent_path() : fs::path(".");
  out.temporary_ = parent / ("." + file.filename().string() + "." + NewHandle(6));
  out.fd_ = ::open(out.temporary_.c_str(), O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600);
  if (out.fd_ < 0)
    return Fail(Errc::io_failed,
                "cannot write in " + parent.string() + ": " + std::strerror(errno));
  return out;
}

ZipWriter::ZipWriter(ZipWriter&& other) noexcept
    : file_(std::move(other.file_)),
      temporary_(std::move(other.temporary_)),
      fd_(std::exchange(other.fd_, -1)),
      at_(other.at_),
      members_(std::move(other.members_)) {}

ZipWriter::~ZipWriter() {
  if (fd_ < 0) return;
  ::close(fd_);
  ::unlink(temporary_.c_str());
}

Result<> ZipWriter::Add(const std::string& name, const Packed& packed) {
  if (!GoodName(name) || members_.size() >= kMostMembers)
    return Fail(Errc::internal, "a pack cannot hold the file " + name);
  Member member{name, packed.crc(), packed.size(), packed.packed_size(), at_};
  const std::string header = LocalHeader(member);
  if (at_ + header.size() + member.packed > kMostZipBytes)
    return Fail(Errc::io_failed, "the pack would be larger than 4 GiB; take a shorter period");
  SALLYPORT_CHECK(WriteAll(fd_, header, temporary_.string()));
  SALLYPORT_CHECK(packed.CopyTo(fd_));
  at_ += header.size() + member.packed;
  members_.push_back(std::move(member));
  return {};
}

Result<> ZipWriter::Finish() {
  std::string directory;
  for (const Member& member : members_) directory += DirectoryHeader(member);
  SALLYPORT_CHECK(WriteAll(fd_, directory, temporary_.string()));
  Digest digest;
  std::string piece(1 << 20, '\0');
  for (off_t at = 0;;) {
    const ssize_t n = ::pread(fd_, piece.data(), piece.size(), at);
    if (n < 0) return Fail(Errc::io_failed, "cannot read " + temporary_.string());
    if (n == 0) break;
    digest.Add(std::string_view(piece).substr(0, size_t(n)));
    at += n;
  }
  SALLYPORT_CHECK(WriteAll(fd_, EndRecord(members_.size(), directory.size(), at_, digest.Hex()),
                           temporary_.string()));
  if (::fsync(fd_) != 0 || ::close(std::exchange(fd_, -1)) != 0 ||
      ::rename(temporary_.c_str(), file_.c_str()) != 0) {
    const int why = errno;
    ::unlink(temporary_.c_str());
    return Fail(Errc::io_failed, "cannot write " + file_.string() + ": " + std::strerror(why));
  }
  return {};
}

}  // namespace sallyport::evidence_pack
