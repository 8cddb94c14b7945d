// Keys and chunks of recordings: bytes that someone may have changed.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "recording/age.h"
#include "recording/chunks.h"
#include "recording/keys.h"
#include "recording/reader.h"

namespace {

using namespace sallyport;
using namespace sallyport::recording;

constexpr std::string_view kOrigin = "log.example/a", kDay = "2026-11-22", kSession = "s_one";

void Edit(std::string& bytes, const uint8_t* data, size_t size) {
  for (size_t i = 0; i + 2 < size && i < 24; i += 3)
    bytes[(size_t(data[i]) << 8 | data[i + 1]) % bytes.size()] ^= char(data[i + 2]);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const Key kek = Key::New(), day = Key::New(), session = Key::New();
  static const std::string day_key = WrapDayKey(kek, kOrigin, kDay, 1, day);
  static const std::string record = WrapSessionKey(day, kOrigin, kDay, kSession, 1, session);
  static Gcm gcm(session);
  static const std::string sealed = [] {
    std::string out;
    SealChunks(gcm, {kOrigin, kSession}, 7, std::string(kChunkBytes + 9, 'x'), out);
    return out;
  }();
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);

  // As they come.
  if (const auto read = ReadDayKey(bytes)) (void)UnwrapDayKey(kek, kOrigin, *read);
  if (const auto read = ReadSessionRecord(bytes)) {
    (void)UnwrapSessionKey(day, kOrigin, kDay, *read);
    if (!ReadSessionRecord(DestroyedRecord(*read))) std::abort();
  }
  (void)ReadSessionRecords(bytes);
  (void)CountChunks(bytes);
  if (OpenChunks(gcm, {kOrigin, kSession}, bytes) && bytes != sealed) std::abort();
  if (const auto found = DayOfRecording(bytes); found && !BeginOfDay(*found)) std::abort();
  (void)ReadAgeRecipient(bytes);
  (void)Key::Read(Secret(std::string(bytes)));

  // As edits of what is whole: nothing but that opens.
  std::string edited = day_key;
  Edit(edited, data, size);
  if (edited != day_key) {
    if (const auto read = ReadDayKey(edited); read && UnwrapDayKey(kek, kOrigin, *read))
      std::abort();
  }
  edited = record;
  Edit(edited, data, size);
  if (edited != record) {
    if (const auto read = ReadSessionRecord(edited);
        read && UnwrapSessionKey(day, kOrigin, kDay, *read))
      std::abort();
  }
  edited = sealed;
  Edit(edited, data, size);
  if (edited != sealed && OpenChunks(gcm, {kOrigin, kSession}, edited)) std::abort();
  return 0;
}
