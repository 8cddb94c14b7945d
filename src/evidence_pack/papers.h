#pragma once

#include <string>

#include "evidence_pack/build.h"
#include "evidence_pack/pack.h"

namespace sallyport::evidence_pack {

/// What stands around the evidence: the register, a page for people, what the pack was made with,
/// how to verify it, the manifest and its signature. Closes all files.
Result<> AddPapers(Pack& pack, BuildReport& report, const PackKey& key);

/// "10.2.1.1" → "evidence/10.2.1.1/", "3.4.1" → "evidence/03.4.1/"
std::string FolderOf(std::string_view requirement);

std::string IndexPage(const Pack& pack, const std::string& fingerprint);
std::string RegisterCsv(Pack& pack);
Result<> AddWorkbook(Pack& pack);
Result<> AddSummary(Pack& pack, const std::string& fingerprint);
void AddOscal(Pack& pack);

}  // namespace sallyport::evidence_pack
