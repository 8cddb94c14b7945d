#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "base/clock.h"
#include "op/masked.h"

namespace sallyport::op {

/// What a caller asks to see in clear, with one operation.
struct UnmaskAsk {
  std::vector<std::string> detectors;  // names in the configuration: sorted, each once, not empty
  MaskedText reason;                   // what the caller wrote, for the approvers
};

/// What an approval lets the answer of that one operation show. Part of what approvers decide
/// about, but for the caller's reason.
struct UnmaskTerms {
  std::vector<std::string> detectors;
  uint64_t max_values = 0;  // different ones
  Nanos ttl = 0;            // from the approval
  MaskedText reason;
};

/// The right to show it, of one permit.
struct UnmaskLicence {
  std::vector<std::string> detectors;
  uint64_t max_values = 0;
  Nanos until = 0;                               // wall time, for the record
  std::chrono::steady_clock::time_point closes;  // what counts: no clock step makes it longer
};

/// What an answer did show.
struct Unmasked {
  uint64_t values = 0;  // different ones
  uint64_t places = 0;  // where they stood
};

}  // namespace sallyport::op
