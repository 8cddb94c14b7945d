#include "recording/keys.h"

#include <chrono>
#include <cstdio>
#include <cstring>

#include "base/ids.h"

namespace sallyport::recording {
namespace {

constexpr std::string_view kDayMagic = "SPDAYK1\n", kRecordMagic = "SPSK";
constexpr char kLive = 1, kDestroyed = 2;
constexpr size_t kSalt = 32, kKey = 32, kKeyId = 20;
constexpr Gcm::Nonce kOnce{};  // of keys that seal one thing only

std::unexpected<Error> Damaged(const char* what) { return Fail(Errc::recording_damaged, what); }

std::string Be64(uint64_t v) {
  std::string out(8, '\0');
  StoreBe32(reinterpret_cast<uint8_t*>(out.data()), uint32_t(v >> 32));
  StoreBe32(reinterpret_cast<uint8_t*>(out.data()) + 4, uint32_t(v));
  return out;
}

uint64_t LoadBe64(std::string_view bytes) {
  const uint8_t* p = AsBytes(bytes).data();
  return uint64_t(LoadBe32(p)) << 32 | LoadBe32(p + 4);
}

std::string With(std::string_view text) { return Be64(text.size()).append(text); }

/// What wraps one thing: the first half of it the key, the second what it is bound to.
std::array<uint8_t, 64> WrapKey(const Key& key, std::string_view salt, std::string_view purpose) {
  std::array<uint8_t, 64> out;
  Derive(key.bytes(), AsBytes(salt), purpose, out);
  return out;
}

bool AllZero(std::string_view bytes) { return bytes.find_first_not_of('\0') == bytes.npos; }

std::string Unpadded(std::string_view bytes) {
  return std::string(bytes.substr(0, std::min(bytes.find('\0'), bytes.size())));
}

bool IsHandle(std::string_view text) {
  constexpr std::string_view kIn =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";
  return !text.empty() && text.find_first_not_of(kIn) == text.npos;
}

constexpr std::string_view kDayPurpose = "sallyport recording day key v1";
constexpr std::string_view kSessionPurpose = "sallyport recording session key v1";

std::string DayAbout(std::string_view head, std::string_view origin) {
  return std::string(head) + With(origin);
}

std::string RecordAbout(std::string_view record, std::string_view origin, std::string_view day) {
  return std::string(record.substr(0, 60)).append(record.substr(140, 8)) + With(origin) + With(day);
}

}  // namespace

std::string KekId(const Key& kek) {
  std::array<uint8_t, 8> id;
  Derive(kek.bytes(), {}, "sallyport recording kek id v1", id);
  return HexEncode(id);
}

std::string WrapDayKey(const Key& kek, std::string_view origin, std::string_view day, Nanos now,
                       const Key& key) {
  std::string out(kDayMagic);
  out.append(day).append(6, '\0');
  std::array<uint8_t, 8> id;
  Derive(kek.bytes(), {}, "sallyport recording kek id v1", id);
  out.append(AsText(id)).append(Be64(uint64_t(now)));
  const std::string salt = NewRandom(kSalt);
  const std::string about = DayAbout(out, origin);
  out += salt;
  const auto wrap = WrapKey(kek, salt, kDayPurpose);
  Gcm(Key(ByteView(wrap).first(32))).Seal(kOnce, about, AsText(key.bytes()), out);
  out.append(AsText(ByteView(wrap).last(32)));
  out += AsText(ByteView(Digest(out)).first(8));
  return out;
}

// 0 magic, 8 day, 24 kek id, 32 created, 40 salt, 72 key, 104 tag, 120 bound to, 152 checksum
Result<WrappedDayKey> ReadDayKey(std::string_view bytes) {
  if (bytes.size() != kDayKeyBytes || !bytes.starts_with(kDayMagic))
    return Damaged("it is not the key of a day");
  if (AsText(ByteView(Digest(bytes.substr(0, 152))).first(8)) != bytes.substr(152))
    return Damaged("its checksum is wrong");
  WrappedDayKey out;
  out.day = Unpadded(bytes.substr(8, 16));
  if (!BeginOfDay(out.day)) return Damaged("it is of no day");
  out.kek_id = HexEncode(AsBytes(bytes.substr(24, 8)));
  out.created = Nanos(LoadBe64(bytes.substr(32, 8)));
  out.bytes = bytes;
  return out;
}

Result<Key> UnwrapDayKey(const Key& kek, std::string_view origin, const WrappedDayKey& wrapped) {
  if (wrapped.kek_id != KekId(kek)) {
    return Fail(Errc::recording_unavailable,
                "it was wrapped by the key " + wrapped.kek_id + ", not by " + KekId(kek));
  }
  const std::string_view bytes = wrapped.bytes;
  const auto wrap = WrapKey(kek, bytes.substr(40, kSalt), kDayPurpose);
  std::string key;
  const bool bound = AsText(ByteView(wrap).last(32)) == bytes.substr(120, 32);
  if (!bound || !Gcm(Key(ByteView(wrap).first(32)))
                     .Open(kOnce, DayAbout(bytes.substr(0, 40), origin), bytes.substr(72, 48), key))
    return Damaged("it is not what was wrapped for this log");
  const Key out(AsBytes(key));
  explicit_bzero(key.data(), key.size());
  return out;
}

std::string SessionKeyId(const Key& key) {
  std::array<uint8_t, kKeyId> id;
  Derive(key.bytes(), {}, "sallyport recording commitment v1", id);
  return HexEncode(id);
}

// 0 magic, 4 state, 8 key id, 28 session, 60 salt, 92 key, 124 tag, 140 created, 148 zero
std::string WrapSessionKey(const Key& day_key, std::string_view origin, std::string_view day,
                           std::string_view session, Nanos now, const Key& key) {
  std::array<uint8_t, kKeyId> id;
  Derive(key.bytes(), {}, "sallyport recording commitment v1", id);
  std::string out(kRecordMagic);
  out.append(1, kLive).append(3, '\0').append(AsText(id)).append(session.substr(0, kMaxSessionId));
  out.resize(60);
  const std::string salt = NewRandom(kSalt), created = Be64(uint64_t(now));
  const std::string about = out + created + With(origin) + With(day);
  const auto wrap = WrapKey(day_key, salt, kSessionPurpose);
  out += salt;
  Gcm(Key(ByteView(wrap).first(32))).Seal(kOnce, about, AsText(key.bytes()), out);
  out += created;
  out.resize(kSessionRecordBytes);
  return out;
}

Result<SessionRecord> ReadSessionRecord(std::string_view bytes) {
  if (bytes.size() != kSessionRecordBytes || !bytes.starts_with(kRecordMagic) ||
      (bytes[4] != kLive && bytes[4] != kDestroyed) || !AllZero(bytes.substr(5, 3)) ||
      !AllZero(bytes.substr(148)))
    return Damaged("a record of a session's key is malformed");
  SessionRecord out;
  out.id = HexEncode(AsBytes(bytes.substr(8, kKeyId)));
  out.session = Unpadded(bytes.substr(28, kMaxSessionId));
  if (!IsHandle(out.session) ||
      !AllZero(bytes.substr(28 + out.session.size(), kMaxSessionId - out.session.size())))
    return Damaged("a record of a session's key names no session");
  out.destroyed = bytes[4] == kDestroyed;
  if (out.destroyed && !AllZero(bytes.substr(60, 80)))
    return Damaged("a key that was destroyed is still there");
  out.created = Nanos(LoadBe64(bytes.substr(140, 8)));
  out.bytes = bytes;
  return out;
}

Result<Key> UnwrapSessionKey(const Key& day_key, std::string_view origin, std::string_view day,
                             const SessionRecord& record) {
  if (record.destroyed) return Fail(Errc::recording_destroyed, "the session's key was destroyed");
  const std::string_view bytes = record.bytes;
  const auto wrap = WrapKey(day_key, bytes.substr(60, kSalt), kSessionPurpose);
  std::string text;
  if (!Gcm(Key(ByteView(wrap).first(32)))
           .Open(kOnce, RecordAbout(bytes, origin, day), bytes.substr(92, kKey + Gcm::kTag), text))
    return Damaged("the session's key does not open");
  const Key key(AsBytes(text));
  explicit_bzero(text.data(), text.size());
  if (SessionKeyId(key) != record.id) return Damaged("the session's key is not the one it names");
  return key;
}

std::string DestroyedRecord(const SessionRecord& record) {
  std::string out = record.bytes;
  out[4] = kDestroyed;
  std::fill_n(out.begin() + 60, 80, '\0');
  return out;
}

Result<std::vector<SessionRecord>> ReadSessionRecords(std::string_view bytes) {
  std::vector<SessionRecord> out;
  for (; bytes.size() >= kSessionRecordBytes; bytes.remove_prefix(kSessionRecordBytes)) {
    const std::string_view one = bytes.substr(0, kSessionRecordBytes);
    if (AllZero(one)) continue;  // a place that a power cut left empty: nothing refers to it
    SALLYPORT_TRY(SessionRecord record, ReadSessionRecord(one));
    out.push_back(std::move(record));
  }
  return out;
}

std::string DayOf(Nanos time) { return FormatUtc(time).substr(0, 10); }

std::optional<Nanos> BeginOfDay(std::string_view day) {
  unsigned y = 0, m = 0, d = 0;
  const std::string owned(day);
  char rest = 0;
  if (day.size() != 10 || std::sscanf(owned.c_str(), "%4u-%2u-%2u%c", &y, &m, &d, &rest) != 3)
    return std::nullopt;
  using namespace std::chrono;
  const year_month_day date{year(int(y)), month(m), std::chrono::day(d)};
  if (!date.ok() || y < 1970 || y > 2261) return std::nullopt;
  const Nanos at = duration_cast<nanoseconds>(sys_days(date).time_since_epoch()).count();
  if (DayOf(at) != day) return std::nullopt;  // one spelling only
  return at;
}

}  // namespace sallyport::recording
