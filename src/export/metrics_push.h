#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <stop_token>
#include <string>
#include <thread>

#include "base/clock.h"
#include "export/otlp_client.h"
#include "obs/metrics.h"

namespace sallyport::exporting {

/// All metrics of `registry` as OTLP data points (cumulative, one request), JSON. Counters are
/// monotonic sums, histograms keep their bounds; names and labels are those of /metrics. `begun`:
/// since when they count.
std::string RenderMetrics(const std::vector<obs::Reading>& readings, Nanos begun, Nanos now);

/// Pushes the metrics of the process every `every`, from a thread of its own. Figures, not
/// evidence: what a receiver misses is not sent again, the next push says how much it is by then.
class MetricsPush {
 public:
  using MakeClient = std::function<OtlpClient(std::stop_token stop)>;

  /// `registry` and `clock` must outlive it.
  MetricsPush(std::string name, std::string origin, std::chrono::milliseconds every,
              MakeClient make, const obs::Registry& registry = obs::Metrics(),
              const Clock& clock = SystemClock());
  ~MetricsPush();
  MetricsPush(const MetricsPush&) = delete;

  /// Why the last push failed; empty: it did not. Any thread.
  std::string trouble() const;

 private:
  void Run(const std::stop_token& stop);
  void Push(OtlpClient& client);

  const std::string name_, origin_;
  const std::chrono::milliseconds every_;
  const MakeClient make_;
  const obs::Registry& registry_;
  const Clock& clock_;
  const Nanos begun_;
  mutable std::mutex mutex_;
  std::string trouble_;
  std::jthread thread_;  // last
};

}  // namespace sallyport::exporting
