#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "ledger/tree.h"

namespace sallyport::witness {

/// The body of `add-checkpoint` (https://c2sp.org/tlog-witness).
struct Submission {
  uint64_t old_size = 0;            // what the witness has cosigned last, as the sender believes
  std::vector<ledger::Hash> proof;  // that the checkpoint continues that size; at most 63
  std::string note;                 // the signed checkpoint
};

inline constexpr size_t kMaxSubmissionBytes = 64 << 10;

std::string FormatSubmission(const Submission& submission);
/// request_malformed, with what is wrong. The note is not looked at.
Result<Submission> ParseSubmission(std::string_view body);

}  // namespace sallyport::witness
