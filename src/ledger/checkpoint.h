#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/secret.h"
#include "ledger/note.h"
#include "ledger/tree.h"

namespace sallyport::ledger {

/// Head of a log at one size (https://c2sp.org/tlog-checkpoint), without extension lines.
struct Checkpoint {
  std::string origin;
  uint64_t size = 0;
  Hash root{};

  bool operator==(const Checkpoint&) const = default;
};

/// The text that is signed: origin, size, root, each with a newline.
std::string CheckpointText(const Checkpoint& checkpoint);
/// The strict inverse: canonical decimal and base64, no extension lines.
Result<Checkpoint> ParseCheckpointText(std::string_view text);

/// An Ed25519 key of https://c2sp.org/signed-note (type 0x01) that signs. Not thread-safe.
class NoteSigner {
 public:
  /// `key`: PEM (PKCS #8), "PRIVATE+KEY+name+hash+base64", or 32 raw bytes.
  static Result<NoteSigner> Make(std::string name, const Secret& key);

  /// The signed note: text, empty line, signature line. REQUIRES `text` to end in a newline.
  Result<std::string> Sign(std::string_view text) const;
  const std::string& vkey() const { return key_.vkey(); }
  const std::string& name() const { return key_.name(); }

 private:
  explicit NoteSigner(SigningKey key) : key_(std::move(key)) {}
  SigningKey key_;
};

/// A key that verifies. Thread-safe.
class NoteVerifier {
 public:
  /// "name+hash+base64"; the hash has to match.
  static Result<NoteVerifier> Make(std::string_view vkey);

  /// The text of a note with a valid signature of this key. Signatures of unknown keys are passed
  /// over, at most 64 lines; a line of this key that does not verify rejects the note. Base64 is
  /// compared canonically.
  Result<std::string> Open(std::string_view note) const;
  /// The same for a checkpoint whose origin is this key's name.
  Result<Checkpoint> OpenCheckpoint(std::string_view note) const;
  /// Whether the signature says that it is this key's; verifies nothing.
  bool IsOf(const NoteSignature& signature) const { return key_.IsOf(signature); }
  const std::string& name() const { return key_.name(); }
  const std::string& vkey() const { return key_.vkey(); }

 private:
  explicit NoteVerifier(VerifyingKey key) : key_(std::move(key)) {}
  VerifyingKey key_;
};

/// The checkpoint in a note without looking at signatures: for reading a log that is being written.
Result<Checkpoint> PeekCheckpoint(std::string_view note);

}  // namespace sallyport::ledger
