#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "op/session.h"
#include "op/unmask.h"

namespace sallyport::policy {

/// `masking.unmask[]` of the configuration: who may ask to see which values in clear, and who
/// approves it.
struct UnmaskGrant {
  std::vector<std::string> who;        // "group:x", "user:x", "agent:x"
  std::vector<std::string> detectors;  // never one of kind sad
  std::string approval;                // name of the flow
  uint64_t max_values = 1;             // different ones, in one answer
  std::chrono::milliseconds ttl{900'000};
  bool operator==(const UnmaskGrant&) const = default;
};

/// The first grant that speaks of this caller and covers all detectors asked for; null: none. Pure.
const UnmaskGrant* FindUnmaskGrant(const std::vector<UnmaskGrant>& grants, const op::Principal& who,
                                   const op::UnmaskAsk& ask);

/// The person who would see the values: the caller, or the one person who answers for the agent
/// that calls. Empty where nobody is named (a group answers for the agent): such a caller sees
/// nothing in clear.
std::string UnmaskPerson(const op::Principal& who);

}  // namespace sallyport::policy
