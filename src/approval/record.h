#pragma once

#include <functional>

#include "base/clock.h"
#include "base/task.h"
#include "op/evidence.h"

namespace sallyport::ledger {
class Ledger;
}

namespace sallyport::approval {

/// How the desk writes into the evidence log. Both fill in `at`.
struct Recorder {
  /// Survives a power cut before it completes: for what has an effect.
  std::function<Task<uint64_t>(const op::Evidence&)> strict;
  /// Written when it returns: for ends and refusals, which let nothing through.
  std::function<Result<uint64_t>(const op::Evidence&)> now;
};

/// Into `ledger`, which must outlive it.
Recorder RecordTo(ledger::Ledger& ledger, const Clock& clock);

}  // namespace sallyport::approval
