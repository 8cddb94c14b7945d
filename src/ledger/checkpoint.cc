#include "ledger/checkpoint.h"

#include "base/bytes.h"
#include "ledger/lines.h"

namespace sallyport::ledger {

std::string CheckpointText(const Checkpoint& checkpoint) {
  return checkpoint.origin + '\n' + std::to_string(checkpoint.size) + '\n' +
         Base64Encode(checkpoint.root) + '\n';
}

Result<Checkpoint> ParseCheckpointText(std::string_view text) {
  const auto malformed = [](const char* what) { return Fail(Errc::request_malformed, what); };
  const auto origin = TakeLine(text);
  if (!origin) return malformed("checkpoint: no origin line");
  const auto size = TakeLine(text);
  if (!size) return malformed("checkpoint: no size line");
  const auto root = TakeLine(text);
  if (!root || !text.empty()) return malformed("checkpoint: expected exactly three lines");
  if (!ValidKeyName(*origin)) return malformed("checkpoint: the origin is not a key name");
  const auto number = ParseDecimal(*size);
  if (!number) return malformed("checkpoint: the size is not a canonical decimal number");
  const auto hash = ParseHash(*root);
  if (!hash) return malformed("checkpoint: the root is not a canonical base64 SHA-256");
  return Checkpoint{std::string(*origin), *number, *hash};
}

Result<NoteSigner> NoteSigner::Make(std::string name, const Secret& key) {
  SALLYPORT_TRY(SigningKey signing, SigningKey::Make(std::move(name), key, KeyType::ed25519));
  return NoteSigner(std::move(signing));
}

Result<std::string> NoteSigner::Sign(std::string_view text) const {
  SALLYPORT_TRY(const std::string line, key_.SignatureLine(text));
  return std::string(text) + '\n' + line;
}

Result<NoteVerifier> NoteVerifier::Make(std::string_view vkey) {
  SALLYPORT_TRY(VerifyingKey key, VerifyingKey::Make(vkey, KeyType::ed25519));
  return NoteVerifier(std::move(key));
}

Result<std::string> NoteVerifier::Open(std::string_view note) const {
  const auto reject = [](const char* what) { return Fail(Errc::token_signature_invalid, what); };
  SALLYPORT_TRY(const Note parsed, ParseNote(note));
  bool verified = false;
  for (const NoteSignature& signature : parsed.signatures) {
    if (!key_.IsOf(signature)) continue;
    if (!key_.Verify(parsed.text, signature.bytes))
      return reject("signed note: the signature does not verify");
    if (verified) return reject("signed note: two signatures of one key");
    verified = true;
  }
  if (!verified) return reject("signed note: no signature of the expected key");
  return std::string(parsed.text);
}

Result<Checkpoint> NoteVerifier::OpenCheckpoint(std::string_view note) const {
  SALLYPORT_TRY(const std::string text, Open(note));
  SALLYPORT_TRY(Checkpoint checkpoint, ParseCheckpointText(text));
  if (checkpoint.origin != name()) {
    return Fail(Errc::token_signature_invalid, "checkpoint: the origin is not the key's name");
  }
  return checkpoint;
}

Result<Checkpoint> PeekCheckpoint(std::string_view note) {
  const size_t split = note.rfind("\n\n");
  if (split == std::string_view::npos)
    return Fail(Errc::request_malformed, "checkpoint: no signatures");
  return ParseCheckpointText(note.substr(0, split + 1));
}

}  // namespace sallyport::ledger
