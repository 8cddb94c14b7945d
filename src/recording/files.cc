#include "recording/files.h"

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <sys/stat.h>
#include <system_error>

#include "recording/keys.h"

namespace sallyport::recording {
namespace fs = std::filesystem;

Error SystemFailure(std::string_view doing, const fs::path& path) {
  const int code = errno;
  return Error(
      code == ENOENT ? Errc::not_found : Errc::recording_unavailable,
      std::string(doing) + ' ' + path.string() + ": " + std::generic_category().message(code));
}

Result<std::string> ReadAll(const fs::path& path, size_t most) {
  const Descriptor fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  struct stat st{};
  if (!fd || ::fstat(fd.get(), &st) != 0) return std::unexpected(SystemFailure("open", path));
  if (!S_ISREG(st.st_mode) || size_t(st.st_size) > most)
    return Fail(Errc::recording_unavailable, path.string() + " is no file of recordings");
  std::string bytes(size_t(st.st_size), '\0');
  const auto read = ReadUpTo(fd, bytes);
  if (!read) return std::unexpected(SystemFailure("read", path));
  bytes.resize(*read);
  return bytes;
}

Result<> WriteSynced(const fs::path& path, std::string_view bytes) {
  const fs::path temporary = path.string() + ".tmp";
  {
    const Descriptor fd(
        ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!fd || !WriteAll(fd, bytes) || ::fdatasync(fd.get()) != 0)
      return std::unexpected(SystemFailure("write", temporary));
  }
  if (::rename(temporary.c_str(), path.c_str()) != 0)
    return std::unexpected(SystemFailure("rename", path));
  return SyncDirectory(path.parent_path());
}

Result<> WriteAt(const Descriptor& file, std::string_view bytes, uint64_t offset,
                 const fs::path& path) {
  while (!bytes.empty()) {
    const ssize_t n = ::pwrite(file.get(), bytes.data(), bytes.size(), off_t(offset));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) {
      if (n == 0) errno = ENOSPC;
      return std::unexpected(SystemFailure("write", path));
    }
    bytes.remove_prefix(size_t(n));
    offset += uint64_t(n);
  }
  return {};
}

Result<> MakeDirectory(const fs::path& path) {
  if (::mkdir(path.c_str(), 0700) == 0) return SyncDirectory(path.parent_path());
  struct stat st{};
  if (errno == EEXIST && ::stat(path.c_str(), &st) == 0 && S_ISDIR(st.st_mode)) return {};
  return std::unexpected(SystemFailure("make", path));
}

Result<> SyncDirectory(const fs::path& path) {
  const Descriptor fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd || ::fsync(fd.get()) != 0) return std::unexpected(SystemFailure("sync", path));
  return {};
}

Result<> Erase(const fs::path& path) {
  {
    const Descriptor fd(::open(path.c_str(), O_WRONLY | O_CLOEXEC | O_NOFOLLOW));
    if (!fd && errno == ENOENT) return {};
    struct stat st{};
    if (!fd || ::fstat(fd.get(), &st) != 0) return std::unexpected(SystemFailure("open", path));
    const std::string zeros(size_t(std::min<off_t>(st.st_size, 1 << 20)), '\0');
    for (uint64_t at = 0; at < uint64_t(st.st_size); at += zeros.size()) {
      const size_t n = size_t(std::min<uint64_t>(zeros.size(), uint64_t(st.st_size) - at));
      SALLYPORT_CHECK(WriteAt(fd, std::string_view(zeros).substr(0, n), at, path));
    }
    if (::fdatasync(fd.get()) != 0) return std::unexpected(SystemFailure("sync", path));
  }
  if (::unlink(path.c_str()) != 0) return std::unexpected(SystemFailure("remove", path));
  return SyncDirectory(path.parent_path());
}

std::vector<std::string> Days(const fs::path& dir) {
  std::vector<std::string> days;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(dir, error)) {
    std::string name = entry.path().filename();
    if (BeginOfDay(name)) days.push_back(std::move(name));
  }
  std::ranges::sort(days);
  return days;
}

}  // namespace sallyport::recording
