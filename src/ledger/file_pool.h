#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <filesystem>
#include <string>
#include <string_view>

#include "base/result.h"

namespace sallyport::ledger {

/// Files and directories that have served become others, by renaming. A log in use replaces a few
/// files twenty times a second; deleting and creating them costs a file system more than writing
/// them (ext4 without a journal walks over everything deleted in the last minutes to find a free
/// inode).
///
/// What leaves its name is not written again for `rest`: who opened it just before can still read
/// it. Not thread-safe.
class FilePool {
 public:
  /// `dir` holds what waits, and nothing else: what an earlier process left there is deleted. It is
  /// made when it is needed.
  explicit FilePool(std::filesystem::path dir,
                    std::chrono::milliseconds rest = std::chrono::seconds(5));
  FilePool(FilePool&&) noexcept = default;
  ~FilePool();  // deletes what waits

  /// Writes the whole of `bytes`, then gives the file its name: readers see all of it, or what was
  /// there before. Not synced: a power cut may leave part of it, or of what the file was before.
  Result<> Write(const std::filesystem::path& path, std::string_view bytes);
  /// As Write, for a file that may be there already.
  Result<> Replace(const std::filesystem::path& path, std::string_view bytes);
  /// An empty directory; nothing is at `path`, its parent is there.
  Result<> MakeDirectory(const std::filesystem::path& path);
  /// Takes a directory of plain files away. What cannot be kept is deleted; failing to is no error,
  /// as nobody needs it.
  void TakeDirectory(const std::filesystem::path& path);

 private:
  struct Resting {
    std::filesystem::path path;
    size_t bytes = 0;
    std::chrono::steady_clock::time_point since;
  };
  static constexpr size_t kMostBytes = 16 << 20;
  static constexpr size_t kMostFiles = 2048;

  std::filesystem::path NewName();
  bool Rested(const std::deque<Resting>& queue) const;
  /// A file with `bytes` under a name of the pool.
  Result<std::filesystem::path> Fill(std::string_view bytes);
  void Keep(const std::filesystem::path& pooled, size_t bytes);

  std::filesystem::path dir_;
  std::chrono::milliseconds rest_;
  std::deque<Resting> files_, directories_;
  size_t bytes_ = 0;
  uint64_t next_ = 0;
  bool made_ = false;
};

}  // namespace sallyport::ledger
