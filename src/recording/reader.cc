#include "recording/reader.h"

#include <algorithm>
#include <fcntl.h>
#include <sys/stat.h>

#include "recording/chunks.h"
#include "recording/files.h"

namespace sallyport::recording {
namespace fs = std::filesystem;
namespace {

constexpr uint64_t kMostBytes = uint64_t(1) << 31;  // of one recording

std::unexpected<Error> Damaged(const op::Blob& blob, const std::string& what) {
  return Fail(Errc::recording_damaged, "recordings/" + blob.recording + ".rec " + what);
}

}  // namespace

std::optional<std::string> DayOfRecording(std::string_view name) {
  if (name.size() < 12 || name.size() > 20 || name[10] != '/') return std::nullopt;
  if (name.find_first_not_of("0123456789", 11) != name.npos) return std::nullopt;
  std::string day(name.substr(0, 10));
  if (!BeginOfDay(day)) return std::nullopt;
  return day;
}

Reader::Reader(fs::path dir, std::string origin, std::vector<Key> keks)
    : dir_(std::move(dir)), origin_(std::move(origin)), keks_(std::move(keks)) {}

Result<std::string> Reader::Bytes(const op::Blob& blob) {
  if (!DayOfRecording(blob.recording))
    return Fail(Errc::recording_damaged, "the entry names no file of recordings");
  if (blob.length > kMostBytes) return Damaged(blob, "cannot hold a recording of that length");
  if (open_name_ != blob.recording) {
    const fs::path path = dir_ / (blob.recording + ".rec");
    open_ = Descriptor(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
    open_name_ = open_ ? blob.recording : std::string();
    if (!open_) return Damaged(blob, errno == ENOENT ? "is not there" : "cannot be read");
  }
  struct stat st{};
  if (::fstat(open_.get(), &st) != 0 || !S_ISREG(st.st_mode))
    return Damaged(blob, "cannot be read");
  const uint64_t size = uint64_t(st.st_size);
  if (blob.offset > size || size - blob.offset < blob.length)
    return Damaged(blob, "is shorter than what the entry names");
  std::string bytes(size_t(blob.length), '\0');
  for (size_t done = 0; done < bytes.size();) {
    const ssize_t n =
        ::pread(open_.get(), bytes.data() + done, bytes.size() - done, off_t(blob.offset + done));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return Damaged(blob, "cannot be read");
    done += size_t(n);
  }
  if (HexEncode(Digest(bytes)) != blob.sha256) {
    return Damaged(blob, "does not hold what the entry names, at " + std::to_string(blob.offset));
  }
  const auto chunks = CountChunks(bytes);
  if (!chunks || *chunks != blob.chunks)
    return Damaged(blob, "holds other chunks than the entry names");
  return bytes;
}

Result<Reader::Day*> Reader::DayOfBlob(const op::Blob& blob) {
  const auto name = DayOfRecording(blob.recording);
  if (!name) return Fail(Errc::recording_damaged, "the entry names no file of recordings");
  const auto known = std::ranges::find(days_, *name, &Day::name);
  if (known != days_.end() && known->records.contains(blob.key)) return &*known;
  if (known != days_.end()) days_.erase(known);  // a key may have come since
  if (days_.size() >= 4) days_.erase(days_.begin());
  Day day{.name = *name};
  const auto bytes = ReadAll(dir_ / *name / kSessionKeysName);
  if (!bytes && bytes.error().code != Errc::not_found) return std::unexpected(bytes.error());
  if (bytes) {
    for (std::string_view rest = *bytes; rest.size() >= kSessionRecordBytes;
         rest.remove_prefix(kSessionRecordBytes)) {
      // One that is damaged loses its own recordings only.
      auto record = ReadSessionRecord(rest.substr(0, kSessionRecordBytes));
      if (record) day.records.emplace(record->id, std::move(*record));
    }
  }
  days_.push_back(std::move(day));
  return &days_.back();
}

Result<SessionRecord> Reader::Record(const op::Blob& blob) {
  SALLYPORT_TRY(Day* const day, DayOfBlob(blob));
  const auto found = day->records.find(blob.key);
  if (found == day->records.end()) {
    return Fail(Errc::recording_damaged,
                "recordings/" + day->name + "/sessions.keys has no key " + blob.key.substr(0, 40));
  }
  return found->second;
}

Result<> Reader::OpenDayKey(Day& day) {
  if (day.key) return {};
  const std::string name = "recordings/" + day.name + "/day.key";
  const auto bytes = ReadAll(dir_ / day.name / kDayKeyName, 4096);
  if (!bytes) {
    return Fail(
        Errc::recording_damaged,
        name + (bytes.error().code == Errc::not_found ? " is not there" : " cannot be read"));
  }
  const auto wrapped = ReadDayKey(*bytes);
  if (!wrapped) return Fail(Errc::recording_damaged, name + ": " + wrapped.error().detail);
  if (wrapped->day != day.name)
    return Fail(Errc::recording_damaged, name + " is the key of " + wrapped->day);
  Error last(Errc::recording_unavailable, "no key encryption key is at hand");
  for (const Key& kek : keks_) {
    auto key = UnwrapDayKey(kek, origin_, *wrapped);
    if (key) {
      day.key = std::move(*key);
      return {};
    }
    last = Error(key.error().code, name + ": " + key.error().detail);
    if (key.error().code == Errc::recording_damaged) break;
  }
  return std::unexpected(last);
}

Result<Key> Reader::SessionKey(const op::Blob& blob) {
  SALLYPORT_TRY(const SessionRecord record, Record(blob));
  if (record.destroyed) return Fail(Errc::recording_destroyed, "the session's key was destroyed");
  SALLYPORT_TRY(Day* const day, DayOfBlob(blob));
  SALLYPORT_CHECK(OpenDayKey(*day));
  return UnwrapSessionKey(*day->key, origin_, day->name, record);
}

Result<Reader::Opened> Reader::Open(const op::Blob& blob) {
  SALLYPORT_TRY(const std::string sealed, Bytes(blob));
  SALLYPORT_TRY(const SessionRecord record, Record(blob));
  SALLYPORT_TRY(const Key key, SessionKey(blob));
  Gcm gcm(key);
  auto text = OpenChunks(gcm, {origin_, record.session}, sealed);
  if (!text) return Damaged(blob, ": " + text.error().detail);
  if (text->empty() || ((*text)[0] != 'j' && (*text)[0] != 't'))
    return Damaged(blob, "is sealed text of no kind that is known");
  Opened out{.json = (*text)[0] == 'j', .text = {}, .session = record.session};
  text->erase(0, 1);
  out.text = std::move(*text);
  return out;
}

}  // namespace sallyport::recording
