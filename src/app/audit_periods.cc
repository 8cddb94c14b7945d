#include <cstdio>

#include "app/exit_code.h"
#include "app/moment.h"
#include "app/proofs.h"
#include "app/read_spool.h"
#include "app/verbs.h"
#include "ledger/coverage.h"
#include "ledger/proof.h"
#include "ledger/sample.h"
#include "ledger/search.h"

namespace sallyport::app {
namespace {

int Sorry(const char* command, const Error& error) {
  std::fprintf(stderr, "sallyport audit %s: %s (%s)\n", command, error.detail.c_str(),
               std::string(ReasonCode(error.code)).c_str());
  return kFailed;
}

/// The head first: the sample is of a log of that size.
Result<> PrintSample(const std::string& dir, const AuditSampleOptions& options) {
  SALLYPORT_TRY(const ledger::ProvenEntries head, ledger::ProveAll(dir, {}));
  SALLYPORT_TRY(const ledger::Checkpoint checkpoint, ledger::PeekCheckpoint(head.note));
  const std::vector<uint64_t> indexes =
      ledger::SampleIndexes(options.seed, checkpoint.size, options.count);
  SALLYPORT_TRY(const ledger::ProvenEntries proven, ledger::ProveAll(dir, indexes));
  std::fprintf(stderr, "%zu of %llu entries of %s, seed \"%s\"\n", indexes.size(),
               static_cast<unsigned long long>(checkpoint.size), checkpoint.origin.c_str(),
               options.seed.c_str());
  if (!options.out.empty()) SALLYPORT_CHECK(WriteProofs(proven, options.out));
  for (const auto& one : proven.entries) {
    SALLYPORT_TRY(const ledger::Found found, ledger::ShowEntry(dir, one.index));
    std::printf("%s\n", found.json.c_str());
  }
  return {};
}

}  // namespace

int RunAuditCoverage(const AuditCoverageOptions& options) {
  const auto from = MomentOption("audit coverage", options.from);
  const auto to = MomentOption("audit coverage", options.to);
  if (!from || !to) return kUsage;
  const std::string dir = DataDirOrDefault(options.data_dir);
  const auto coverage = ledger::Cover(dir, *from, *to);
  if (!coverage) return Sorry("coverage", coverage.error());
  (void)NoteReading(dir, "audit coverage", "");  // a copy can be read too
  std::printf("%s", (options.json ? coverage->Json() + '\n' : coverage->Text()).c_str());
  return coverage->whole() ? kOk : kNegative;
}

int RunAuditSample(const AuditSampleOptions& options) {
  const std::string dir = DataDirOrDefault(options.data_dir);
  if (const auto noted = NoteReading(dir, "audit sample", options.seed); !noted)
    return Sorry("sample", noted.error());
  const auto printed = PrintSample(dir, options);
  return printed ? kOk : Sorry("sample", printed.error());
}

}  // namespace sallyport::app
