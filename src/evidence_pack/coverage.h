#pragma once

#include <string>

#include "evidence_pack/pack.h"
#include "ledger/coverage.h"
#include "ledger/verify.h"

namespace sallyport::evidence_pack {

/// 10.2.1, 10.2.1.6, 10.6 and 10.7 out of what the log's own entries say of its completeness.
void AddCoverage(Pack& pack, const ledger::Coverage& coverage);

/// 10.3.2 and 10.3.4: what the verification of the whole log said before the pack was made, and who
/// can read its files.
void AddVerification(Pack& pack, const ledger::VerifyReport& report,
                     const std::filesystem::path& data_dir);

}  // namespace sallyport::evidence_pack
