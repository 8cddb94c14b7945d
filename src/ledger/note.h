#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/secret.h"

struct evp_pkey_st;

namespace sallyport::ledger {

/// What a key of https://c2sp.org/signed-note signs: the type byte of its encoding.
enum class KeyType : uint8_t {
  ed25519 = 0x01,      // the text of a note
  cosignature = 0x04,  // a timestamped cosignature (https://c2sp.org/tlog-cosignature)
};

using KeyId = std::array<uint8_t, 4>;
inline constexpr size_t kSignatureBytes = 64;

struct FreeKey {
  void operator()(evp_pkey_st* key) const;
};
using KeyHandle = std::unique_ptr<evp_pkey_st, FreeKey>;

/// Whether `name` can name a key and a log: not empty, no space, no control character, no '+'.
bool ValidKeyName(std::string_view name);

/// One signature line, taken apart. Borrows the note.
struct NoteSignature {
  std::string_view name;
  KeyId id{};
  std::string bytes;      // behind the id
  std::string_view line;  // as it stands there, with its newline
};

/// A signed note, taken apart and not verified. Borrows it.
struct Note {
  std::string_view text;  // with its last newline
  std::vector<NoteSignature> signatures;
};

/// token_signature_invalid: not a signed note: control characters, more than 64 signatures, base64
/// that is not canonical, more than 1 MiB.
Result<Note> ParseNote(std::string_view note);

/// An Ed25519 key that signs under a name. Not thread-safe.
class SigningKey {
 public:
  /// `secret`: PEM (PKCS #8), "PRIVATE+KEY+name+hash+base64", or 32 raw bytes.
  static Result<SigningKey> Make(std::string name, const Secret& secret, KeyType type);
  /// The signature line, with its newline: base64 of id, `prefix` and the signature of `bytes`.
  Result<std::string> SignatureLine(std::string_view bytes, std::string_view prefix = {}) const;
  const std::string& vkey() const { return vkey_; }
  const std::string& name() const { return name_; }

 private:
  KeyHandle key_;
  std::string name_, vkey_;
  KeyId id_{};
};

/// A key that verifies. Thread-safe.
class VerifyingKey {
 public:
  /// "name+hash+base64" of that type; the hash has to match.
  static Result<VerifyingKey> Make(std::string_view vkey, KeyType type);
  /// Whether the signature says that it is this key's.
  bool IsOf(const NoteSignature& signature) const;
  bool Verify(std::string_view bytes, std::string_view signature) const;
  const std::string& name() const { return name_; }
  const std::string& vkey() const { return vkey_; }

 private:
  KeyHandle key_;
  std::string name_, vkey_;
  KeyId id_{};
};

/// A new 32-byte seed from the kernel, as "PRIVATE+KEY+name+hash+base64" line.
Result<Secret> GenerateSigningKey(std::string_view name);

}  // namespace sallyport::ledger
