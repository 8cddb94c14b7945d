#pragma once

#include <memory>

#include "base/result.h"
#include "config/schema.h"
#include "ledger/writer.h"
#include "witness/cosigning.h"

namespace sallyport::app {

/// Begins to bring the log's heads to the witnesses of the configuration; null where it names none.
/// `ledger` must outlive it.
Result<std::unique_ptr<witness::Cosigning>> StartCosigning(const config::Root& root,
                                                           ledger::Ledger& ledger);

}  // namespace sallyport::app
