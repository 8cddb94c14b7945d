#include "recording/store.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <fcntl.h>
#include <sys/stat.h>
#include <system_error>

#include "recording/chunks.h"
#include "recording/files.h"
#include "recording/store_impl.h"

namespace sallyport::recording {
namespace fs = std::filesystem;
namespace {

constexpr Nanos kDay = Nanos(86'400) * 1'000'000'000;

}  // namespace

Store::Store(Options options, const Clock& clock) : options_(std::move(options)), clock_(clock) {}
Store::~Store() = default;

Result<std::unique_ptr<Store>> Store::Open(Options options, const Clock& clock) {
  if (options.keks.empty())
    return Fail(Errc::config_invalid, "recordings need a key encryption key");
  SALLYPORT_CHECK(MakeDirectory(options.dir));
  std::unique_ptr<Store> store(new Store(std::move(options), clock));
  SALLYPORT_CHECK(store->CheckNewest());
  return store;
}

/// A wrong key is found at the start, not when somebody wants to read what it sealed.
Result<> Store::CheckNewest() const {
  const std::vector<std::string> days = Days(options_.dir);
  if (days.empty()) return {};
  const std::string& newest = days.back();
  const fs::path path = options_.dir / newest / kDayKeyName;
  const Result<std::string> bytes = ReadAll(path);
  if (!bytes && bytes.error().code == Errc::not_found && newest != DayOf(clock_.WallNow()))
    return {};
  bool made = false;
  const auto opened = const_cast<Store*>(this)->DayKey(newest, made);
  if (!opened) return std::unexpected(opened.error());
  return {};
}

/// The key of a day that has one, or a new one where the day has nothing yet.
Result<Key> Store::DayKey(const std::string& name, bool& made) {
  const fs::path dir = options_.dir / name, path = dir / kDayKeyName;
  const auto unusable = [&](const std::string& why) {
    return Fail(Errc::recording_unavailable, path.string() + ": " + why);
  };
  const Result<std::string> bytes = ReadAll(path, 4096);
  if (!bytes && bytes.error().code != Errc::not_found) return std::unexpected(bytes.error());
  if (!bytes) {
    std::error_code error;
    if (fs::exists(dir / kSessionKeysName, error)) {
      return unusable(
          "the key of this day is missing, so its recordings cannot be read: bring it "
          "back, or move the directory away");
    }
    made = true;
    return Key::New();
  }
  const auto wrapped = ReadDayKey(*bytes);
  if (!wrapped) return unusable(wrapped.error().detail);
  if (wrapped->day != name) return unusable("it is the key of " + wrapped->day);
  std::string why;
  for (const Key& kek : options_.keks) {
    auto key = UnwrapDayKey(kek, options_.origin, *wrapped);
    if (key) return key;
    if (why.empty() || key.error().code != Errc::recording_unavailable) why = key.error().detail;
  }
  return unusable(why + ": evidence.encrypt.kek is not the key that the recordings were made with");
}

Result<std::shared_ptr<Store::Day>> Store::OpenDay(const std::string& name) {
  auto day = std::make_shared<Day>();
  day->name = name;
  day->dir = options_.dir / name;
  SALLYPORT_CHECK(MakeDirectory(day->dir));
  bool made = false;
  SALLYPORT_TRY(day->key, DayKey(name, made));
  if (made) {
    const Key& kek = options_.keks.front();
    if (options_.on_key) SALLYPORT_CHECK(options_.on_key(name, KekId(kek)));
    SALLYPORT_CHECK(WriteSynced(day->dir / kDayKeyName, WrapDayKey(kek, options_.origin, name,
                                                                   clock_.WallNow(), day->key)));
  }
  const fs::path keys = day->dir / kSessionKeysName;
  day->keys = Descriptor(::open(keys.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  struct stat st{};
  if (!day->keys || ::fstat(day->keys.get(), &st) != 0)
    return std::unexpected(SystemFailure("open", keys));
  day->keys_end = (uint64_t(st.st_size) + kSessionRecordBytes - 1) / kSessionRecordBytes *
                  kSessionRecordBytes;  // behind what a power cut left
  std::error_code error;
  for (const auto& file : fs::directory_iterator(day->dir, error)) {
    unsigned number = 0;
    if (std::sscanf(file.path().filename().c_str(), "%u.rec", &number) == 1)
      day->segments = std::max(day->segments, number);
  }
  SALLYPORT_CHECK(SyncDirectory(day->dir));
  return day;
}

/// Under the mutex.
Result<std::shared_ptr<Store::Day>> Store::Today() {
  const Nanos now = clock_.WallNow();
  if (today_ && now / kDay == day_number_) return today_;
  if (today_) {
    if (today_->segment) left_.push_back(today_->segment);
    days_left_.push_back(std::move(today_));
  }
  SALLYPORT_TRY(today_, OpenDay(DayOf(now)));
  day_number_ = now / kDay;
  return today_;
}

/// Under the mutex.
Result<std::shared_ptr<Store::Session>> Store::SessionOf(Day& day, std::string_view id) {
  const auto found = day.sessions.find(std::string(id));
  if (found != day.sessions.end()) return found->second;
  const Key key = Key::New();
  const std::string record =
      WrapSessionKey(day.key, options_.origin, day.name, id, clock_.WallNow(), key);
  SALLYPORT_CHECK(ReadSessionRecord(record));  // a session id that cannot be one
  SALLYPORT_CHECK(WriteAt(day.keys, record, day.keys_end, day.dir / kSessionKeysName));
  day.keys_end += record.size();
  day.dirty = true;
  auto session = std::make_shared<Session>(SessionKeyId(key), key);
  day.sessions.emplace(id, session);
  return session;
}

/// Under the mutex: a segment with room for `size` bytes.
Result<> Store::Roll(Day& day, size_t size) {
  if (day.segment && day.segment->end + size <= options_.segment_bytes) return {};
  auto segment = std::make_shared<Segment>();
  char number[16];
  std::snprintf(number, sizeof number, "%04u", ++day.segments);
  segment->name = day.name + "/" + number;
  segment->path = day.dir / (std::string(number) + ".rec");
  segment->file = Descriptor(
      ::open(segment->path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!segment->file) return std::unexpected(SystemFailure("create", segment->path));
  SALLYPORT_CHECK(SyncDirectory(day.dir));
  if (day.segment) left_.push_back(std::move(day.segment));
  day.segment = std::move(segment);
  return {};
}

Result<op::Blob> Store::Put(std::string_view session, const MaskedText& text, bool json) {
  if (!healthy()) return Fail(Errc::recording_unavailable, failure());
  Result<op::Blob> blob = Write(session, text.get(), json);
  if (!blob) {
    Failed(blob.error());
    return Fail(Errc::recording_unavailable, blob.error().detail);
  }
  recordings_.fetch_add(1, std::memory_order_relaxed);
  bytes_.fetch_add(blob->length, std::memory_order_relaxed);
  return blob;
}

Result<op::Blob> Store::Write(std::string_view id, std::string_view text, bool json) {
  std::shared_ptr<Day> day;
  std::shared_ptr<Session> session;
  {
    const std::lock_guard lock(mutex_);
    SALLYPORT_TRY(day, Today());
    SALLYPORT_TRY(session, SessionOf(*day, id));
  }
  thread_local std::string plain, sealed;
  plain.assign(1, json ? 'j' : 't').append(text);
  sealed.clear();
  op::Blob blob;
  {
    const std::lock_guard lock(session->mutex);
    blob.chunks =
        SealChunks(session->gcm, {options_.origin, id}, ++session->streams, plain, sealed);
  }
  std::shared_ptr<Segment> segment;
  {
    // The day may have ended meanwhile; the key is in that day's own file, so the bytes go there.
    const std::lock_guard lock(mutex_);
    SALLYPORT_CHECK(Roll(*day, sealed.size()));
    segment = day->segment;
    blob.offset = segment->end;
    segment->end += sealed.size();
  }
  SALLYPORT_CHECK(WriteAt(segment->file, sealed, blob.offset, segment->path));
  segment->dirty = true;
  blob.recording = segment->name;
  blob.length = sealed.size();
  blob.sha256 = HexEncode(Digest(sealed));
  blob.key = session->id;
  if (plain.capacity() > 1 << 20) std::string().swap(plain), std::string().swap(sealed);
  return blob;
}

Result<> Store::Sync() {
  std::vector<std::shared_ptr<Segment>> segments;
  std::vector<std::shared_ptr<Day>> days;
  {
    const std::lock_guard lock(mutex_);
    if (failed_) return Fail(Errc::recording_unavailable, failure_);
    segments = std::exchange(left_, {});
    days = days_left_;
    for (const auto& day : days) {
      if (day->segment) segments.push_back(day->segment);
    }
    if (today_) days.push_back(today_);
    if (today_ && today_->segment) segments.push_back(today_->segment);
    // Whoever still writes for a day that has ended does so within moments.
    if (days_left_.size() > 2) days_left_.erase(days_left_.begin());
  }
  const auto sync = [this](std::atomic<bool>& dirty, const Descriptor& file,
                           const fs::path& path) -> Result<> {
    if (!dirty.exchange(false) || ::fdatasync(file.get()) == 0) return {};
    const Error error = SystemFailure("sync", path);
    Failed(error);
    return Fail(Errc::recording_unavailable, error.detail);
  };
  for (const auto& day : days)
    SALLYPORT_CHECK(sync(day->dirty, day->keys, day->dir / kSessionKeysName));
  for (const auto& segment : segments)
    SALLYPORT_CHECK(sync(segment->dirty, segment->file, segment->path));
  return {};
}

void Store::Forget(std::string_view session) {
  const std::lock_guard lock(mutex_);
  if (today_) today_->sessions.erase(std::string(session));
}

std::string Store::failure() const {
  const std::lock_guard lock(mutex_);
  return failure_;
}

void Store::Failed(const Error& error) {
  const std::lock_guard lock(mutex_);
  if (failure_.empty()) failure_ = "the store of recordings has failed: " + error.detail;
  failed_ = true;
}

}  // namespace sallyport::recording
