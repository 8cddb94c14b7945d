#pragma once

#include <atomic>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/clock.h"
#include "base/descriptor.h"
#include "base/result.h"
#include "op/evidence.h"
#include "recording/keys.h"

namespace sallyport::recording {

/// What callers asked for and saw, masked, sealed, outside the log: the log's entries name the
/// bytes by their digest, so they are bound for ever and can still be made unreadable, by
/// destroying a key. Files: docs/formats/recording.md.
///
/// Thread-safe. After a failed write or sync nothing is taken any more: recording_unavailable.
class Store {
 public:
  struct Options {
    std::filesystem::path dir;  // made if it is not there
    std::string origin;         // of the log
    std::vector<Key> keks;      // the first wraps; the others only open what they have wrapped
    /// A day's key was made; what fails here keeps it from being used.
    std::function<Result<>(const std::string& day, const std::string& kek_id)> on_key;
    uint64_t segment_bytes = uint64_t(1) << 30;
  };

  /// recording_unavailable: the newest day's key is missing, damaged, or of another key encryption
  /// key, and the detail says which.
  static Result<std::unique_ptr<Store>> Open(Options options, const Clock& clock = SystemClock());
  ~Store();
  Store(const Store&) = delete;

  /// Seals and writes `text`: killed after this, the process has lost none of it. Before an entry
  /// that names it is acknowledged as durable, Sync must have been called. `session`: "s_…".
  Result<op::Blob> Put(std::string_view session, const MaskedText& text, bool json);

  /// What was put before this call survives a power cut after it. The ledger calls it before each
  /// commit.
  Result<> Sync();

  /// The session has ended: its key need not be kept in memory.
  void Forget(std::string_view session);

  /// Destroys these keys of sessions on `day`; what is missing is destroyed already. They must be
  /// recorded as destroyed before.
  Result<> DestroySessions(const std::string& day, const std::vector<std::string>& ids);
  /// Destroys the day's key, then all of its files. Not today's: recording_unavailable.
  Result<> DestroyDay(const std::string& day);
  /// Wraps the keys of all days anew with the first key encryption key; how many needed it. The
  /// recordings themselves are not touched.
  Result<size_t> Rewrap();
  /// Moves the files of a day below `archive`; a link stays, so that readers find them.
  Result<> Archive(const std::string& day, const std::filesystem::path& archive);
  /// Removes what a move that did not come to its end left in the first place.
  Result<> FinishMoves();

  bool healthy() const { return !failed_.load(std::memory_order_relaxed); }
  std::string failure() const;
  const std::filesystem::path& dir() const { return options_.dir; }
  const std::string& origin() const { return options_.origin; }
  const std::vector<Key>& keks() const { return options_.keks; }

  struct Stats {
    uint64_t recordings = 0, bytes = 0;  // put since the start; sealed
  };
  Stats stats() const { return {recordings_.load(), bytes_.load()}; }

 private:
  struct Segment;
  struct Session;
  struct Day;

  Store(Options options, const Clock& clock);
  Result<> CheckNewest() const;
  Result<std::shared_ptr<Day>> Today();
  Result<std::shared_ptr<Day>> OpenDay(const std::string& name);
  Result<Key> DayKey(const std::string& name, bool& made);
  Result<std::shared_ptr<Session>> SessionOf(Day& day, std::string_view id);
  Result<> Roll(Day& day, size_t size);
  Result<op::Blob> Write(std::string_view session, std::string_view text, bool json);
  void Failed(const Error& error);

  const Options options_;
  const Clock& clock_;
  std::atomic<bool> failed_ = false;
  std::atomic<uint64_t> recordings_ = 0, bytes_ = 0;

  mutable std::mutex mutex_;
  std::shared_ptr<Day> today_;
  int64_t day_number_ = -1;
  std::vector<std::shared_ptr<Segment>> left_;  // no longer written, perhaps not yet synced
  std::vector<std::shared_ptr<Day>> days_left_;
  std::string failure_;
};

}  // namespace sallyport::recording
