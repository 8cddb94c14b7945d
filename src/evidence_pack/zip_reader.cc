#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <set>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "evidence_pack/digest.h"
#include "evidence_pack/zip.h"
#include "evidence_pack/zip_format.h"

namespace sallyport::evidence_pack {

/// The bytes of the archive: a file that is mapped, or memory of our own.
struct ZipReader::Mapping {
  ~Mapping() {
    if (mapped != nullptr) ::munmap(mapped, size);
  }
  void* mapped = nullptr;
  size_t size = 0;
  std::string own;
};

namespace {

std::unexpected<Error> Bad(std::string what) { return Fail(Errc::request_malformed, what); }

uint64_t Le(std::string_view bytes, size_t at, int count) {
  uint64_t value = 0;
  for (int i = 0; i < count; ++i) value |= uint64_t(uint8_t(bytes[at + size_t(i)])) << (8 * i);
  return value;
}

}  // namespace

Result<ZipReader> ZipReader::Open(const std::filesystem::path& file) {
  const int fd = ::open(file.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) {
    return Fail(errno == ENOENT ? Errc::not_found : Errc::io_failed,
                "cannot read " + file.string() + ": " + std::strerror(errno));
  }
  struct stat about{};
  auto mapping = std::make_shared<Mapping>();
  const bool regular = ::fstat(fd, &about) == 0 && S_ISREG(about.st_mode);
  if (regular && about.st_size > 0) {
    void* const at = ::mmap(nullptr, size_t(about.st_size), PROT_READ, MAP_PRIVATE, fd, 0);
    if (at != MAP_FAILED) mapping->mapped = at, mapping->size = size_t(about.st_size);
  }
  ::close(fd);
  if (!regular || (about.st_size > 0 && mapping->mapped == nullptr))
    return Fail(Errc::io_failed, "cannot read " + file.string() + ": no regular file");
  ZipReader out;
  out.bytes_ = std::string_view(static_cast<const char*>(mapping->mapped), mapping->size);
  out.mapping_ = std::move(mapping);
  SALLYPORT_CHECK(out.Parse());
  return out;
}

Result<ZipReader> ZipReader::Read(std::string bytes) {
  ZipReader out;
  auto mapping = std::make_shared<Mapping>();
  mapping->own = std::move(bytes);
  out.bytes_ = mapping->own;
  out.mapping_ = std::move(mapping);
  SALLYPORT_CHECK(out.Parse());
  return out;
}

Result<> ZipReader::Parse() {
  if (bytes_.size() < kEndBytes || bytes_.size() > kMostZipBytes + (1 << 24))
    return Bad("no evidence pack: it is cut off, or another kind of file");
  const size_t end = bytes_.size() - kEndBytes;
  if (bytes_.substr(end, 4) != std::string_view("PK\x05\x06", 4))
    return Bad(
        "no evidence pack: its end record is not where it should be (cut off, or more behind)");
  const size_t members = Le(bytes_, end + 10, 2);
  const uint64_t directory_bytes = Le(bytes_, end + 12, 4), offset = Le(bytes_, end + 16, 4);
  if (offset + directory_bytes != end) return Bad("the directory is not where its end record says");
  if (bytes_.substr(end) !=
      EndRecord(members, directory_bytes, offset, Digest::HexOf(bytes_.substr(0, end))))
    return Bad("its bytes are not those it was closed with");
  uint64_t at = offset, expected = 0;
  std::set<std::string> names;
  for (size_t i = 0; i < members; ++i) {
    if (end - at < 46) return Bad("the directory is cut off");
    Member m;
    m.crc = uint32_t(Le(bytes_, at + 16, 4));
    m.packed = Le(bytes_, at + 20, 4);
    m.size = Le(bytes_, at + 24, 4);
    m.offset = Le(bytes_, at + 42, 4);
    m.name = bytes_.substr(at + 46, Le(bytes_, at + 28, 2));
    const std::string header = DirectoryHeader(m), local = LocalHeader(m);
    if (!GoodName(m.name) || bytes_.substr(at, header.size()) != header)
      return Bad("an entry of the directory is not of the one form there is");
    if (!names.insert(m.name).second) return Bad(m.name + " is there twice");
    if (m.offset != expected || offset - expected < local.size() ||
        bytes_.substr(expected, local.size()) != local ||
        offset - expected - local.size() < m.packed)
      return Bad(m.name + ": its header does not agree with the directory");
    expected += local.size() + m.packed;
    at += header.size();
    members_.push_back(std::move(m));
  }
  if (at != end || expected != offset) return Bad("there are bytes that belong to no file");
  return {};
}

Result<> ZipReader::InflateTo(const Member& member, void* to,
                              void (*sink)(void*, std::string_view)) const {
  const std::string_view packed =
      bytes_.substr(member.offset + LocalHeader(member).size(), member.packed);
  z_stream z{};
  if (inflateInit2(&z, -15) != Z_OK) return Fail(Errc::io_failed, "no memory to inflate");
  const std::unique_ptr<z_stream, decltype(&inflateEnd)> ends(&z, inflateEnd);
  z.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(packed.data()));
  z.avail_in = uInt(packed.size());
  std::string piece(256 << 10, '\0');
  uint64_t size = 0;
  uint32_t crc = 0;
  for (int state = Z_OK; state != Z_STREAM_END;) {
    z.next_out = reinterpret_cast<Bytef*>(piece.data());
    z.avail_out = uInt(piece.size());
    state = inflate(&z, Z_NO_FLUSH);
    const std::string_view made(piece.data(), piece.size() - z.avail_out);
    size += made.size();
    if ((state != Z_OK && state != Z_STREAM_END) || size > member.size ||
        (state == Z_OK && made.empty()))
      return Bad(member.name + ": its compressed bytes are damaged");
    crc = uint32_t(crc32_z(crc, reinterpret_cast<const Bytef*>(made.data()), made.size()));
    sink(to, made);
  }
  if (z.avail_in != 0 || size != member.size || crc != member.crc)
    return Bad(member.name + ": its compressed bytes are damaged");
  return {};
}

Result<std::string> ZipReader::Content(const Member& member, uint64_t limit) const {
  if (member.size > limit) return Bad(member.name + " is larger than it can be");
  std::string out;
  SALLYPORT_CHECK(Inflate(member, [&](std::string_view piece) { out += piece; }));
  return out;
}

}  // namespace sallyport::evidence_pack
