#include "ledger/file.h"

#include <cerrno>
#include <fcntl.h>
#include <optional>
#include <sys/stat.h>
#include <system_error>
#include <unistd.h>
#include <utility>
#include <vector>

#include "base/descriptor.h"
#include "ledger/disk.h"

namespace sallyport::ledger {
Error SystemError(std::string_view doing, const std::filesystem::path& path) {
  const int code = errno;
  return Error(
      code == ENOENT ? Errc::not_found : Errc::io_failed,
      std::string(doing) + ' ' + path.string() + ": " + std::generic_category().message(code));
}

Result<std::string> ReadFile(const std::filesystem::path& path, size_t limit) {
  const Descriptor fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return std::unexpected(SystemError("open", path));
  struct stat st{};
  if (::fstat(fd.get(), &st) != 0) return std::unexpected(SystemError("stat", path));
  if (!S_ISREG(st.st_mode)) return Fail(Errc::io_failed, path.string() + " is not a regular file");
  if (size_t(st.st_size) > limit) return Fail(Errc::io_failed, path.string() + " is too large");
  std::string bytes;
  std::optional<size_t> read;
  bytes.resize_and_overwrite(size_t(st.st_size), [&](char* into, size_t size) {
    read = ReadUpTo(fd, {into, size});
    return read.value_or(0);  // less than there was: it was cut while being read
  });
  if (!read) return std::unexpected(SystemError("read", path));
  return bytes;
}

Result<> WriteFile(const std::filesystem::path& path, std::string_view bytes) {
  const Descriptor fd(
      TheDisk().Open(path.string(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!fd) return std::unexpected(SystemError("create", path));
  if (!WriteWhole(fd.get(), bytes)) return std::unexpected(SystemError("write", path));
  return {};
}

Result<> ReplaceFile(const std::filesystem::path& path, std::string_view bytes, bool sync) {
  std::filesystem::path temporary = path;
  temporary += ".tmp";
  {
    const Descriptor fd(TheDisk().Open(
        temporary.string(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!fd) return std::unexpected(SystemError("create", temporary));
    if (!WriteWhole(fd.get(), bytes)) return std::unexpected(SystemError("write", temporary));
    if (sync && TheDisk().SyncData(fd.get()) != 0)
      return std::unexpected(SystemError("sync", temporary));
  }
  return RenameFile(temporary, path);
}

Result<> RenameFile(const std::filesystem::path& from, const std::filesystem::path& to) {
  if (TheDisk().Rename(from.string(), to.string(), 0) != 0)
    return std::unexpected(SystemError("rename", to));
  return {};
}

Result<> RemoveFile(const std::filesystem::path& path) {
  if (TheDisk().Unlink(path.string()) != 0 && errno != ENOENT)
    return std::unexpected(SystemError("remove", path));
  return {};
}

void RemoveTree(const std::filesystem::path& path) {
  std::error_code error;
  std::vector<std::filesystem::directory_entry> entries;
  for (std::filesystem::directory_iterator it(path, error), end; !error && it != end;
       it.increment(error)) {
    entries.push_back(*it);
  }
  for (const auto& entry : entries) {
    const auto type = entry.symlink_status(error).type();
    if (type == std::filesystem::file_type::directory) {
      RemoveTree(entry.path());
    } else {
      (void)RemoveFile(entry.path());
    }
  }
  (void)TheDisk().RemoveDirectory(path.string());
}

Result<> MakeDirectories(const std::filesystem::path& path) {
  if (TheDisk().MakeDirectory(path.string(), 0700) == 0) return {};
  if (errno == EEXIST) {
    struct stat st{};
    if (::stat(path.c_str(), &st) == 0 && S_ISDIR(st.st_mode)) return {};
    return Fail(Errc::io_failed, path.string() + " is not a directory");
  }
  if (errno != ENOENT || !path.has_parent_path())
    return std::unexpected(SystemError("make directory", path));
  SALLYPORT_CHECK(MakeDirectories(path.parent_path()));
  if (TheDisk().MakeDirectory(path.string(), 0700) != 0 && errno != EEXIST) {
    return std::unexpected(SystemError("make directory", path));
  }
  return {};
}

Result<> SyncPath(const std::filesystem::path& path) {
  if (TheDisk().SyncPath(path.string()) != 0) return std::unexpected(SystemError("sync", path));
  return {};
}

}  // namespace sallyport::ledger
