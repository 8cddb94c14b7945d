#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>

#include "base/clock.h"
#include "base/result.h"
#include "export/cursor.h"
#include "export/delivery.h"
#include "export/format.h"
#include "export/spool.h"

namespace sallyport::exporting {

/// What an export has done since the start, and how it stands.
struct Status {
  uint64_t confirmed = 0;  // entries below it are with the receiver, or parked
  /// When the first entry was written that is not; nullopt: there is none.
  std::optional<Nanos> waiting_since;
  uint64_t sent = 0;      // events handed over, repeated ones too
  uint64_t parked = 0;    // entries that the receiver refused
  uint64_t failures = 0;  // deliveries that failed and are repeated
  std::string trouble;    // why nothing moves; empty while it does
};

/// Delivers the log to one receiver, from a thread of its own: in order, at least once, from the
/// entry on that the cursor names. It reads the log from its files: nothing that serves waits for
/// it, and there is no queue that could run over. A failure is repeated for as long as it takes,
/// at most every 30 seconds.
class Exporter {
 public:
  struct Options {
    std::string name;
    std::filesystem::path data_dir;
    Style style;
    bool from_now = false;
    size_t batch_events = 512;
    std::chrono::milliseconds poll{200};  // how often the log is looked at
    std::chrono::milliseconds longest_pause{30'000};
    const Clock* clock = &SystemClock();
  };
  /// Made on the export's own thread; its `stop` ends what blocks.
  using MakeDelivery = std::function<Result<std::unique_ptr<Delivery>>(std::stop_token stop)>;

  Exporter(Options options, MakeDelivery make);
  ~Exporter();  // Stop(0)
  Exporter(const Exporter&) = delete;

  /// Any thread.
  Status status() const;
  const std::string& name() const { return options_.name; }

  /// Ends when all that is published by now is confirmed, or after `grace`. What is left is sent
  /// after the next start.
  void Stop(std::chrono::milliseconds grace);

 private:
  struct UnderWay {
    uint64_t end;
    Nanos at;  // of its first entry
  };

  void Run(const std::stop_token& stop);
  Result<> Prepare(const std::stop_token& stop);
  Result<bool> Step();  // true: something went on
  Result<bool> SendNext();
  Result<bool> TakeConfirmed();
  Result<Batch> MakeBatch();
  void Failed(const Error& error);
  void Pause(const std::stop_token& stop, std::chrono::milliseconds time);
  bool Finishing() const;
  void SetWaiting(std::optional<Nanos> since);

  const Options options_;
  const MakeDelivery make_;

  // The thread's own.
  std::optional<Spool> spool_;
  std::optional<Cursor> cursor_;
  std::unique_ptr<Delivery> delivery_;
  uint64_t next_ = 0;       // entry to be sent next
  uint64_t confirmed_ = 0;  // at least what the cursor says
  std::deque<UnderWay> under_way_;
  std::chrono::milliseconds pause_{0};
  std::chrono::steady_clock::time_point saved_at_{};

  mutable std::mutex mutex_;
  std::condition_variable_any wake_;
  Status status_;
  bool finishing_ = false;  // end when there is nothing left
  bool ended_ = false;
  std::jthread thread_;  // last: starts when the rest is ready
};

}  // namespace sallyport::exporting
