// store.cc keeps what is written now; here is what ends.
#include <algorithm>
#include <cstdio>
#include <fcntl.h>
#include <system_error>

#include "recording/files.h"
#include "recording/store.h"
#include "recording/store_impl.h"

namespace sallyport::recording {
namespace fs = std::filesystem;
namespace {

constexpr std::string_view kMoved = ".moved";  // behind the name of a day

}  // namespace

Result<> Store::DestroySessions(const std::string& day, const std::vector<std::string>& ids) {
  {
    const std::lock_guard lock(mutex_);
    if (today_ && today_->name == day) {
      // A session that goes on gets another key.
      std::erase_if(today_->sessions, [&](const auto& one) {
        return std::ranges::find(ids, one.second->id) != ids.end();
      });
    }
  }
  const fs::path path = options_.dir / day / kSessionKeysName;
  const auto bytes = ReadAll(path);
  if (!bytes && bytes.error().code == Errc::not_found) return {};
  if (!bytes) return std::unexpected(bytes.error());
  const Descriptor file(::open(path.c_str(), O_WRONLY | O_CLOEXEC | O_NOFOLLOW));
  if (!file) return std::unexpected(SystemFailure("open", path));
  for (size_t at = 0; at + kSessionRecordBytes <= bytes->size(); at += kSessionRecordBytes) {
    const auto record = ReadSessionRecord(std::string_view(*bytes).substr(at, kSessionRecordBytes));
    if (!record || record->destroyed || std::ranges::find(ids, record->id) == ids.end()) continue;
    SALLYPORT_CHECK(WriteAt(file, DestroyedRecord(*record), at, path));
  }
  if (::fdatasync(file.get()) != 0) return std::unexpected(SystemFailure("sync", path));
  return {};
}

Result<> Store::DestroyDay(const std::string& day) {
  if (!BeginOfDay(day)) return Fail(Errc::not_found, day + " is no day");
  if (day == DayOf(clock_.WallNow()))
    return Fail(Errc::recording_unavailable, "today's key is in use: destroy its sessions' keys");
  {
    const std::lock_guard lock(mutex_);
    std::erase_if(days_left_, [&](const auto& d) { return d->name == day; });
  }
  std::error_code error;
  fs::path dir = options_.dir / day;
  const bool linked = fs::is_symlink(dir, error);  // moved to the archive
  const fs::path link = dir;
  if (linked) dir = fs::canonical(dir, error);
  if (error) return Fail(Errc::recording_unavailable, link.string() + ": " + error.message());
  if (!fs::exists(dir, error)) return {};
  SALLYPORT_CHECK(Erase(dir / kDayKeyName));
  SALLYPORT_CHECK(Erase(dir / (std::string(kDayKeyName) + ".tmp")));
  SALLYPORT_CHECK(Erase(dir / kSessionKeysName));
  fs::remove_all(dir, error);
  if (!error && linked) fs::remove(link, error);
  if (error) return Fail(Errc::recording_unavailable, dir.string() + ": " + error.message());
  return SyncDirectory(options_.dir);
}

Result<size_t> Store::Rewrap() {
  size_t count = 0;
  const Key& kek = options_.keks.front();
  for (const std::string& day : Days(options_.dir)) {
    const fs::path path = options_.dir / day / kDayKeyName;
    const auto bytes = ReadAll(path, 4096);
    if (!bytes) continue;  // unreadable already; said where somebody wants to read it
    const auto wrapped = ReadDayKey(*bytes);
    if (!wrapped || wrapped->kek_id == KekId(kek)) continue;
    for (const Key& old : options_.keks) {
      const auto key = UnwrapDayKey(old, options_.origin, *wrapped);
      if (!key) continue;
      SALLYPORT_CHECK(
          WriteSynced(path, WrapDayKey(kek, options_.origin, day, wrapped->created, *key)));
      ++count;
      break;
    }
  }
  return count;
}

Result<> Store::Archive(const std::string& day, const fs::path& archive) {
  const fs::path from = options_.dir / day, to = archive / day;
  if (day == DayOf(clock_.WallNow()))
    return Fail(Errc::recording_unavailable, "today's recordings are being written");
  std::error_code error;
  if (fs::is_symlink(from, error)) return {};
  SALLYPORT_CHECK(FinishMoves());
  SALLYPORT_CHECK(MakeDirectory(archive));
  fs::remove_all(to, error);  // what a move left that did not come to its end
  SALLYPORT_CHECK(MakeDirectory(to));
  const auto failed = [&](const fs::path& path) {
    return Fail(Errc::recording_unavailable, "move " + path.string() + ": " + error.message());
  };
  for (const auto& file : fs::directory_iterator(from, error)) {
    const fs::path copy = to / file.path().filename();
    fs::copy_file(file.path(), copy, fs::copy_options::overwrite_existing, error);
    if (error) return failed(copy);
    const Descriptor fd(::open(copy.c_str(), O_RDONLY | O_CLOEXEC));
    if (!fd || ::fsync(fd.get()) != 0) return std::unexpected(SystemFailure("sync", copy));
  }
  if (error) return failed(from);
  SALLYPORT_CHECK(SyncDirectory(to));
  // The link beside the directory, then both exchange their names: a reader finds either.
  const fs::path link = options_.dir / (day + std::string(kMoved));
  fs::create_directory_symlink(fs::absolute(to), link, error);
  if (error) return failed(link);
  if (::renameat2(AT_FDCWD, link.c_str(), AT_FDCWD, from.c_str(), RENAME_EXCHANGE) != 0)
    return std::unexpected(SystemFailure("move", from));
  SALLYPORT_CHECK(SyncDirectory(options_.dir));
  return FinishMoves();
}

/// What was moved goes, its keys first: the copy is what is destroyed later.
Result<> Store::FinishMoves() {
  std::error_code error;
  std::vector<fs::path> left;
  for (const auto& entry : fs::directory_iterator(options_.dir, error)) {
    if (entry.path().filename().string().ends_with(kMoved)) left.push_back(entry.path());
  }
  for (const fs::path& path : left) {
    if (!fs::is_symlink(path, error)) {
      SALLYPORT_CHECK(Erase(path / kDayKeyName));
      SALLYPORT_CHECK(Erase(path / kSessionKeysName));
    }
    fs::remove_all(path, error);
    if (error) return Fail(Errc::recording_unavailable, path.string() + ": " + error.message());
  }
  return left.empty() ? Result<>() : SyncDirectory(options_.dir);
}

}  // namespace sallyport::recording
