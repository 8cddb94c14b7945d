#include "app/proofs.h"

#include <cstdio>
#include <fstream>
#include <iterator>
#include <string>

#include "app/audit_search.h"
#include "app/exit_code.h"
#include "ledger/checkpoint.h"
#include "witness/policy.h"

namespace sallyport::app {
namespace {

Result<> WriteBytes(const std::filesystem::path& file, std::string_view bytes) {
  std::ofstream out(file, std::ios::binary | std::ios::trunc);
  out.write(bytes.data(), std::streamsize(bytes.size()));
  if (!out.flush()) return Fail(Errc::io_failed, "cannot write " + file.string());
  return {};
}

Result<std::string> ReadBytes(const std::string& file) {
  std::ifstream in(file, std::ios::binary);
  std::string bytes{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
  if (!in.is_open()) return Fail(Errc::not_found, "cannot read " + file);
  return bytes;
}

/// The checkpoint that the proof leads to; with a policy, cosigned as it wants.
Result<ledger::Checkpoint> Check(const AuditVerifyProofOptions& options) {
  SALLYPORT_TRY(const std::string proof, ReadBytes(options.proof));
  SALLYPORT_TRY(const std::string entry, ReadBytes(options.entry));
  std::string key = options.key;
  std::optional<witness::Policy> policy;
  SALLYPORT_TRY(const ledger::ProofFile file, ledger::ParseProof(proof));
  if (!options.policy.empty()) {
    SALLYPORT_TRY(const std::string text, ReadBytes(options.policy));
    SALLYPORT_TRY(policy, witness::Policy::Parse(text));
    if (key.empty()) key = policy->LogKey(file.note.substr(0, file.note.find('\n')));
  }
  if (key.empty()) return Fail(Errc::config_invalid, "the policy names no key of this log");
  SALLYPORT_TRY(const ledger::NoteVerifier verifier, ledger::NoteVerifier::Make(key));
  SALLYPORT_TRY(ledger::Checkpoint checkpoint, ledger::VerifyProof(proof, entry, verifier));
  if (policy) {
    SALLYPORT_TRY(const auto verdict, policy->Check(file.note));
    if (!verdict.quorum) {
      return Fail(Errc::token_signature_invalid,
                  "its checkpoint is not cosigned by a quorum of the policy");
    }
  }
  return checkpoint;
}

}  // namespace

Result<> WriteProofs(const ledger::ProvenEntries& proven, const std::filesystem::path& dir) {
  std::error_code error;
  std::filesystem::create_directories(dir, error);
  if (error) return Fail(Errc::io_failed, "cannot make " + dir.string());
  for (const auto& one : proven.entries) {
    const std::filesystem::path base = dir / std::to_string(one.index);
    SALLYPORT_CHECK(WriteBytes(base.string() + ".entry", one.entry));
    SALLYPORT_CHECK(WriteBytes(base.string() + ".tlog-proof",
                               ledger::FormatProof({one.index, one.proof, proven.note})));
  }
  return {};
}

int RunAuditVerifyProof(const AuditVerifyProofOptions& options) {
  if (options.key.empty() && options.policy.empty()) {
    std::fprintf(stderr,
                 "sallyport audit verify-proof: give --key or --policy: a proof that "
                 "brings its own key proves nothing\n");
    return kUsage;
  }
  const auto checkpoint = Check(options);
  if (!checkpoint) {
    const bool unreadable = checkpoint.error().code == Errc::not_found;
    std::fprintf(stderr, "sallyport audit verify-proof: %s (%s)\n",
                 checkpoint.error().detail.c_str(),
                 std::string(ReasonCode(checkpoint.error().code)).c_str());
    return unreadable                                        ? kFailed
           : checkpoint.error().code == Errc::config_invalid ? kUsage
                                                             : kNegative;
  }
  std::printf("proven: the entry is in %s of %llu entries\n", checkpoint->origin.c_str(),
              static_cast<unsigned long long>(checkpoint->size));
  return kOk;
}

}  // namespace sallyport::app
