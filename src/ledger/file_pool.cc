#include "ledger/file_pool.h"

#include <cerrno>
#include <cstdio>
#include <fcntl.h>
#include <system_error>
#include <unistd.h>
#include <utility>
#include <vector>

#include "base/descriptor.h"
#include "ledger/disk.h"
#include "ledger/file.h"

namespace sallyport::ledger {

FilePool::FilePool(std::filesystem::path dir, std::chrono::milliseconds rest)
    : dir_(std::move(dir)), rest_(rest) {
  RemoveTree(dir_);  // what cannot be deleted is in nobody's way: names are taken with O_EXCL
}

FilePool::~FilePool() {
  if (dir_.empty()) return;  // moved from
  RemoveTree(dir_);
}

std::filesystem::path FilePool::NewName() { return dir_ / std::to_string(next_++); }

bool FilePool::Rested(const std::deque<Resting>& queue) const {
  return !queue.empty() && std::chrono::steady_clock::now() - queue.front().since >= rest_;
}

void FilePool::Keep(const std::filesystem::path& pooled, size_t bytes) {
  if (files_.size() >= kMostFiles || bytes_ + bytes > kMostBytes) {
    (void)RemoveFile(pooled);
    return;
  }
  bytes_ += bytes;
  files_.push_back({pooled, bytes, std::chrono::steady_clock::now()});
}

Result<std::filesystem::path> FilePool::Fill(std::string_view bytes) {
  std::filesystem::path path;
  int flags = O_WRONLY | O_CLOEXEC | O_NOFOLLOW;
  size_t before = 0;
  if (Rested(files_)) {
    path = std::move(files_.front().path);
    before = files_.front().bytes;
    bytes_ -= before;
    files_.pop_front();
  } else {
    if (!made_) SALLYPORT_CHECK(MakeDirectories(dir_));
    made_ = true;
    path = NewName();
    flags |= O_CREAT | O_EXCL;
  }
  const Descriptor fd(TheDisk().Open(path.string(), flags, 0600));
  if (!fd) return std::unexpected(SystemError("open", path));
  // Over the old content: pages and blocks that are there already are cheaper than new ones.
  if (!WriteWhole(fd.get(), bytes)) return std::unexpected(SystemError("write", path));
  if (before > bytes.size() && TheDisk().Truncate(fd.get(), off_t(bytes.size())) != 0)
    return std::unexpected(SystemError("cut", path));
  return path;
}

Result<> FilePool::Write(const std::filesystem::path& path, std::string_view bytes) {
  SALLYPORT_TRY(const std::filesystem::path pooled, Fill(bytes));
  return RenameFile(pooled, path);
}

Result<> FilePool::Replace(const std::filesystem::path& path, std::string_view bytes) {
  SALLYPORT_TRY(const std::filesystem::path pooled, Fill(bytes));
  // The old one takes the new one's place in the pool, where the file system can do that.
  if (TheDisk().Rename(pooled.string(), path.string(), RENAME_EXCHANGE) == 0) {
    std::error_code error;
    const auto size = std::filesystem::file_size(pooled, error);
    Keep(pooled, error ? kMostBytes : size);
    return {};
  }
  return RenameFile(pooled, path);
}

Result<> FilePool::MakeDirectory(const std::filesystem::path& path) {
  if (Rested(directories_)) {
    const std::filesystem::path pooled = std::move(directories_.front().path);
    directories_.pop_front();
    if (RenameFile(pooled, path)) return {};
  }
  return MakeDirectories(path);
}

void FilePool::TakeDirectory(const std::filesystem::path& path) {
  made_ = made_ || MakeDirectories(dir_);
  const std::filesystem::path pooled = NewName();
  std::error_code error;
  if (directories_.size() >= kMostFiles || !RenameFile(path, pooled)) {
    RemoveTree(path);
    return;
  }
  std::vector<std::filesystem::directory_entry> files;  // listed first: renaming moves the list
  for (std::filesystem::directory_iterator it(pooled, error), end; !error && it != end;
       it.increment(error)) {
    files.push_back(*it);
  }
  bool empty = !error;
  for (const auto& file : files) {
    const auto size = file.file_size(error);
    const std::filesystem::path name = NewName();
    if (!error && RenameFile(file.path(), name)) {
      Keep(name, size);
    } else {
      empty = false;
    }
  }
  if (!empty) {
    RemoveTree(pooled);
    return;
  }
  directories_.push_back({pooled, 0, std::chrono::steady_clock::now()});
}

}  // namespace sallyport::ledger
