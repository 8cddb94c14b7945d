#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/descriptor.h"
#include "base/result.h"
#include "op/evidence.h"
#include "recording/keys.h"

namespace sallyport::recording {

/// Reads what a Store writes, also while it does, and a copy of it. Everything that it reads may
/// have been written by anybody. One thread.
class Reader {
 public:
  /// `keks`: to open recordings; without, their bytes can be checked.
  Reader(std::filesystem::path dir, std::string origin, std::vector<Key> keks = {});

  /// The sealed bytes, compared with the digest that the entry holds. recording_damaged: they are
  /// not there, are others, or the entry names none; the detail begins with the file.
  Result<std::string> Bytes(const op::Blob& blob);

  struct Opened {
    bool json = true;
    std::string text;
    std::string session;
  };
  /// What was recorded. recording_unavailable: none of the keys opens that day's key;
  /// recording_destroyed: the session's key was; recording_damaged.
  Result<Opened> Open(const op::Blob& blob);

  /// The record of the key that `blob` names; recording_damaged where there is none.
  Result<SessionRecord> Record(const op::Blob& blob);
  /// The key itself, for who may have it. As Open.
  Result<Key> SessionKey(const op::Blob& blob);

  bool can_open() const { return !keks_.empty(); }

 private:
  struct Day {
    std::string name;
    std::map<std::string, SessionRecord> records;
    std::optional<Key> key;
  };
  Result<Day*> DayOfBlob(const op::Blob& blob);
  Result<> OpenDayKey(Day& day);

  const std::filesystem::path dir_;
  const std::string origin_;
  const std::vector<Key> keks_;
  std::vector<Day> days_;  // the latest few
  std::string open_name_;
  Descriptor open_;
};

/// "2026-11-22" of "2026-11-22/0001"; nullopt where it is no name of a recording's file.
std::optional<std::string> DayOfRecording(std::string_view name);

}  // namespace sallyport::recording
