#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/secret.h"
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

/// Whether `name` can name a key and a log: not empty, no space, no control character, no '+'.
bool ValidKeyName(std::string_view name);

/// An Ed25519 key of https://c2sp.org/signed-note (type 0x01) that signs. Not thread-safe.
class NoteSigner {
 public:
  /// `key`: PEM (PKCS #8), "PRIVATE+KEY+name+hash+base64", or 32 raw bytes.
  static Result<NoteSigner> Make(std::string name, const Secret& key);
  NoteSigner(NoteSigner&&) noexcept;
  NoteSigner& operator=(NoteSigner&&) noexcept;
  ~NoteSigner();

  /// The signed note: text, empty line, signature line. REQUIRES `text` to end in a newline.
  Result<std::string> Sign(std::string_view text) const;
  const std::string& vkey() const { return vkey_; }
  const std::string& name() const { return name_; }

 private:
  struct Key;
  NoteSigner();
  std::unique_ptr<Key> key_;
  std::string name_;
  std::string vkey_;
  std::array<uint8_t, 4> id_{};
};

/// A key that verifies. Thread-safe.
class NoteVerifier {
 public:
  /// "name+hash+base64"; the hash has to match.
  static Result<NoteVerifier> Make(std::string_view vkey);
  NoteVerifier(NoteVerifier&&) noexcept;
  NoteVerifier& operator=(NoteVerifier&&) noexcept;
  ~NoteVerifier();

  /// The text of a note with a valid signature of this key. Signatures of unknown keys are passed
  /// over, at most 64 lines; a line of this key that does not verify rejects the note. Base64 is
  /// compared canonically.
  Result<std::string> Open(std::string_view note) const;
  /// The same for a checkpoint whose origin is this key's name.
  Result<Checkpoint> OpenCheckpoint(std::string_view note) const;
  const std::string& name() const { return name_; }
  const std::string& vkey() const { return vkey_; }

 private:
  struct Key;
  NoteVerifier();
  std::unique_ptr<Key> key_;
  std::string name_;
  std::string vkey_;
  std::array<uint8_t, 4> id_{};
};

/// The checkpoint in a note without looking at signatures: for reading a log that is being written.
Result<Checkpoint> PeekCheckpoint(std::string_view note);

/// A new 32-byte seed from the kernel, as "PRIVATE+KEY+name+hash+base64" line.
Result<Secret> GenerateSigningKey(std::string_view name);

}  // namespace sallyport::ledger
