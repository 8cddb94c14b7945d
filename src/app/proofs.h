#pragma once

#include <filesystem>

#include "base/result.h"
#include "ledger/proof.h"
#include "ledger/search.h"

namespace sallyport::app {

/// An entry on standard output, in short or as its JSON line.
void PrintEntry(const ledger::Found& found, bool as_json);

/// Writes N.entry and N.tlog-proof of each entry into a directory, which is made if it is not
/// there.
Result<> WriteProofs(const ledger::ProvenEntries& proven, const std::filesystem::path& dir);

}  // namespace sallyport::app
