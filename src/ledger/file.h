#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "base/result.h"

namespace sallyport::ledger {

/// Files the ledger's way: modes 0600 and 0700, errors that name the path and the system's reason.
/// io_failed, or not_found where a file to be read does not exist.
Result<std::string> ReadFile(const std::filesystem::path& path, size_t limit = size_t(1) << 30);

/// Writes the whole of `bytes` under the final name; a crash may leave part of it. For files that
/// nothing refers to yet.
Result<> WriteFile(const std::filesystem::path& path, std::string_view bytes);

/// Temporary name, then rename: readers see the old or the new content. With `sync` also after a
/// power cut, once the directory is synced; without it, a power cut may leave an empty file.
Result<> ReplaceFile(const std::filesystem::path& path, std::string_view bytes, bool sync = true);

Result<> RenameFile(const std::filesystem::path& from, const std::filesystem::path& to);
Result<> RemoveFile(const std::filesystem::path& path);  // nothing there is no error
/// A directory with all that is in it, as far as possible.
void RemoveTree(const std::filesystem::path& path);

Result<> MakeDirectories(const std::filesystem::path& path);
Result<> SyncPath(const std::filesystem::path& path);  // fsync of a file or directory

/// io_failed: "write /path: No space left on device".
Error SystemError(std::string_view doing, const std::filesystem::path& path);

}  // namespace sallyport::ledger
