#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

namespace sallyport::review {

/// The section `review`: the daily look at what happened (PCI DSS 10.4.1).
struct Config {
  bool on = true;
  std::chrono::minutes at{6 * 60};  // of each day, UTC: the day before is summed up
  std::vector<std::string> who;     // may sign; empty: the roles auditor and admin
  uint32_t sign_within_days = 3;    // what is not signed by then is overdue
  bool operator==(const Config&) const = default;
};

}  // namespace sallyport::review
