#pragma once

#include <string>

#include "app/verbs.h"

namespace sallyport::app {

/// What a search takes beside AuditSearchOptions.
struct SearchMore {
  std::string table;  // that recorded SQL names
  std::string prove;  // directory for entries and their proofs
};
int RunAuditSearch(const AuditSearchOptions& options, const SearchMore& more);

/// audit verify-proof
struct AuditVerifyProofOptions {
  std::string proof, entry, key, policy;
};
int RunAuditVerifyProof(const AuditVerifyProofOptions& options);

}  // namespace sallyport::app
