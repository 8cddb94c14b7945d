#pragma once

#include <chrono>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "app/ops.h"
#include "base/result.h"
#include "export/exporter.h"
#include "export/metrics_push.h"
#include "ledger/writer.h"

namespace sallyport::app {

/// The exports of the configuration, each with its thread. Thread-safe but for Stop.
class Exports {
 public:
  /// `ledger` must outlive it. Never fails: an export whose receiver, secret or cursor
  /// is not to be had is one that is behind.
  Exports(const std::vector<exporting::Config>& configs, const std::filesystem::path& data_dir,
          const ledger::Ledger& ledger);
  ~Exports();

  /// One for each: fails where it is behind for longer than `alarm_after`, which is only an alarm
  /// unless it is further behind than its `strict` lets it be.
  std::vector<ReadyCheck> Checks() const;
  void DeclareMetrics() const;
  /// Delivers what is published by now, for at most `grace`; the rest after the next start.
  void Stop(std::chrono::milliseconds grace);

 private:
  struct Export;
  struct Lag {
    uint64_t entries = 0;
    double seconds = 0;
  };
  Lag LagOf(const Export& e) const;
  std::string Describe(const Export& e, const Lag& lag) const;

  const ledger::Ledger& ledger_;
  std::vector<std::unique_ptr<Export>> exports_;
  std::vector<std::unique_ptr<exporting::MetricsPush>> pushes_;
};

}  // namespace sallyport::app
