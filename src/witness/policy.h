#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "ledger/checkpoint.h"
#include "ledger/cosignature.h"

namespace sallyport::witness {

/// Whose cosignatures make a checkpoint count (https://c2sp.org/tlog-policy): logs, witnesses,
/// groups of them (for example all witnesses of one operator, of which any is enough) and a quorum.
/// Immutable; thread-safe.
class Policy {
 public:
  /// config_invalid, with the line.
  static Result<Policy> Parse(std::string_view text);

  struct Cosigned {
    std::string witness;  // the name of its key
    uint64_t at = 0;      // seconds since the epoch, as it says
  };
  struct Verdict {
    ledger::Checkpoint checkpoint;
    std::string log;                 // the verifier key that signed it
    std::vector<Cosigned> cosigned;  // by witnesses of this policy
    bool quorum = false;
  };
  /// token_signature_invalid: no log of the policy signed the note, or a line of a key of the
  /// policy does not verify. That the quorum is not met is no error.
  Result<Verdict> Check(std::string_view note) const;

  /// The verifier key of the log with this origin; empty if there is none.
  std::string LogKey(std::string_view origin) const;

 private:
  struct Group {
    std::vector<std::string> members;
    size_t need = 0;
  };
  Result<> ReadLine(std::string_view line);
  bool Met(const std::string& name, const std::map<std::string, bool>& cosigned) const;

  std::vector<ledger::NoteVerifier> logs_;
  std::map<std::string, ledger::CosignatureVerifier> witnesses_;
  std::map<std::string, Group> groups_;
  std::map<std::string, bool> used_;  // names that are a member of a group already
  std::string quorum_;                // empty: not said yet
};

}  // namespace sallyport::witness
