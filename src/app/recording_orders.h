#pragma once

#include <filesystem>
#include <set>
#include <string>

#include "base/result.h"
#include "config/load_recording.h"
#include "ledger/writer.h"
#include "mask/masker.h"
#include "recording/store.h"

namespace sallyport::app {

/// What people have the gateway do with recordings: it alone writes the log, so a command leaves an
/// order in `<data_dir>/recordings/orders`, and the gateway does it, each act recorded before it is
/// done. Who may write there may order: the user of the service.
struct RecordingOrder {
  std::string verb;    // shred, hold, release, exported
  std::string what;    // a session "s_…" or a day "2026-11-22"
  std::string reason;  // what the person says; of exported: for whom
  std::string by;      // the user of the operating system
};

/// Leaves an order and waits for the gateway's answer. not_found, config_invalid and the like as
/// the gateway says; recording_unavailable: no gateway has taken it up within `seconds`; it will be
/// done by the next one that starts, unless it is `exported`, which is taken back.
Result<std::string> Order(const std::filesystem::path& data_dir, const RecordingOrder& order,
                          int seconds = 20);

/// What is destroyed, held and moved, by order and by age. One thread: the gateway's own.
class RecordingKeeper {
 public:
  RecordingKeeper(recording::Store& store, const recording::Limits& limits, ledger::Ledger& ledger,
                  const Clock& clock = SystemClock());

  /// Takes up orders; every hour destroys what is older than the retention and moves what is not
  /// hot any more.
  void Tick(const mask::Masker& masker);

  /// At the start: wraps the keys of days with the first key encryption key. Recorded.
  Result<> Rewrap();

 private:
  void TakeOrders(const mask::Masker& masker);
  Result<std::string> Do(const RecordingOrder& order, MaskedText reason);
  Result<std::string> Shred(const RecordingOrder& order, MaskedText reason);
  Result<std::string> Hold(const RecordingOrder& order, MaskedText reason);
  Result<> DestroyDay(const std::string& day, op::Evidence evidence);
  Result<> Retain();
  /// Why a day must stay; empty: it need not.
  std::string HeldBy(const std::string& day) const;
  std::set<std::string> Held() const;
  Result<> Record(op::Evidence evidence);

  recording::Store& store_;
  const recording::Limits limits_;
  ledger::Ledger& ledger_;
  const Clock& clock_;
  std::chrono::steady_clock::time_point next_{};  // when age is looked at again
};

}  // namespace sallyport::app
