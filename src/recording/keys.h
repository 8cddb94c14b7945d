#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "recording/cipher.h"

namespace sallyport::recording {

/// The forms of keys at rest, docs/formats/recording.md. Every reader of them takes bytes that
/// anybody may have written: recording_damaged, with a detail that says what is wrong.

constexpr size_t kDayKeyBytes = 160;
constexpr size_t kSessionRecordBytes = 192;
constexpr size_t kMaxSessionId = 32;

/// 16 hexadecimal digits that name a key encryption key and say nothing about it.
std::string KekId(const Key& kek);

/// A day's key, wrapped by the key encryption key: under a key derived from it with a random salt,
/// so that no nonce is ever used twice, and bound to it (GCM alone is not: a second key could open
/// it to something else).
std::string WrapDayKey(const Key& kek, std::string_view origin, std::string_view day, Nanos now,
                       const Key& key);

struct WrappedDayKey {
  std::string day;     // "2026-11-22"
  std::string kek_id;  // KekId of the key that opens it
  Nanos created = 0;
  std::string bytes;
};
Result<WrappedDayKey> ReadDayKey(std::string_view bytes);
/// recording_unavailable where `kek` is another key than the one that wrapped it.
Result<Key> UnwrapDayKey(const Key& kek, std::string_view origin, const WrappedDayKey& wrapped);

/// The key of one session on one day.
struct SessionRecord {
  std::string id;       // 40 hexadecimal digits: what the key is bound to
  std::string session;  // "s_…"
  Nanos created = 0;
  bool destroyed = false;  // then there is no key in it any more
  std::string bytes;
};
/// `key`'s id: 160 bits that only this key gives, so that an entry of the log that names it commits
/// to the key.
std::string SessionKeyId(const Key& key);
std::string WrapSessionKey(const Key& day_key, std::string_view origin, std::string_view day,
                           std::string_view session, Nanos now, const Key& key);
Result<SessionRecord> ReadSessionRecord(std::string_view bytes);
/// recording_destroyed, recording_damaged.
Result<Key> UnwrapSessionKey(const Key& day_key, std::string_view origin, std::string_view day,
                             const SessionRecord& record);
/// What stands in the place of a record whose key was destroyed: whose it was, and no key.
std::string DestroyedRecord(const SessionRecord& record);

/// All records of a `sessions.keys`; what a power cut left of the last one is not one.
Result<std::vector<SessionRecord>> ReadSessionRecords(std::string_view bytes);

/// "2026-11-22" of a time, UTC; and back to its first moment.
std::string DayOf(Nanos time);
std::optional<Nanos> BeginOfDay(std::string_view day);

}  // namespace sallyport::recording
