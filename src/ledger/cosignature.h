#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/secret.h"
#include "ledger/note.h"

namespace sallyport::ledger {

/// A witness's key: its cosignature says that, at that second, the checkpoint was the largest one
/// of its log that the witness had seen, and continued all that it had seen before
/// (https://c2sp.org/tlog-cosignature, Ed25519, type 0x04). Not thread-safe.
class Cosigner {
 public:
  /// `key` as of NoteSigner; a key serves one witness only, as its name is not signed.
  static Result<Cosigner> Make(std::string name, const Secret& key);
  /// The signature line for the note with this text, `seconds` after the epoch.
  Result<std::string> Cosign(std::string_view text, uint64_t seconds) const;
  const std::string& vkey() const { return key_.vkey(); }
  const std::string& name() const { return key_.name(); }

 private:
  explicit Cosigner(SigningKey key) : key_(std::move(key)) {}
  SigningKey key_;
};

/// Verifies the cosignatures of one witness. Thread-safe.
class CosignatureVerifier {
 public:
  static Result<CosignatureVerifier> Make(std::string_view vkey);
  /// The second at which the witness cosigned. not_found: it did not; token_signature_invalid: a
  /// line says that it did, and does not verify.
  Result<uint64_t> Open(const Note& note) const;
  /// The same for one line.
  Result<uint64_t> Open(std::string_view text, const NoteSignature& signature) const;
  const std::string& name() const { return key_.name(); }
  const std::string& vkey() const { return key_.vkey(); }

 private:
  explicit CosignatureVerifier(VerifyingKey key) : key_(std::move(key)) {}
  VerifyingKey key_;
};

}  // namespace sallyport::ledger
