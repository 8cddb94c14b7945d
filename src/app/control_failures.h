#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "app/ops.h"
#include "base/result.h"
#include "op/evidence.h"

namespace sallyport::app {

/// The failures of what protects the data, as entries of the log: `control.failed` when a check
/// begins to fail and `control.restored` when it holds again (PCI DSS 10.7.2, 10.7.3). Of the one
/// main thread.
class ControlFailures {
 public:
  using Record = std::function<Result<>(op::Evidence)>;
  explicit ControlFailures(Record record) : record_(std::move(record)) {}

  void Look(const std::vector<ReadyCheck>& checks);

 private:
  Record record_;
  std::map<std::string, std::chrono::steady_clock::time_point> failing_;  // since when
};

/// Why nothing may be served: of the checks that say how the evidence gets where it has to, one
/// that fails and is more than an alarm. Empty: it may.
std::string WhyServiceStops(const std::vector<ReadyCheck>& checks);

}  // namespace sallyport::app
