#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "base/descriptor.h"
#include "base/result.h"

namespace sallyport::recording {

/// Files of recordings: mode 0600, directories 0700, no symbolic link is followed at a file's own
/// name. Errors are recording_unavailable with the path and the system's reason.

constexpr std::string_view kDayKeyName = "day.key";
constexpr std::string_view kSessionKeysName = "sessions.keys";

Error SystemFailure(std::string_view doing, const std::filesystem::path& path);

/// All of it; not_found where there is none; recording_unavailable beyond `most` bytes.
Result<std::string> ReadAll(const std::filesystem::path& path, size_t most = size_t(1) << 30);
/// Whole or not at all, also after a power cut.
Result<> WriteSynced(const std::filesystem::path& path, std::string_view bytes);
Result<> WriteAt(const Descriptor& file, std::string_view bytes, uint64_t offset,
                 const std::filesystem::path& path);
Result<> MakeDirectory(const std::filesystem::path& path);
Result<> SyncDirectory(const std::filesystem::path& path);
/// Overwrites all of the file with zeros, syncs, removes it. A file that is not there is gone.
Result<> Erase(const std::filesystem::path& path);

/// The days in `dir` ("2026-11-22"), oldest first. None where there is no such directory.
std::vector<std::string> Days(const std::filesystem::path& dir);

}  // namespace sallyport::recording
