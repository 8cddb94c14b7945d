#include "ledger/cosignature.h"

#include <array>

#include "base/bytes.h"

namespace sallyport::ledger {
namespace {

constexpr size_t kTimeBytes = 8;

/// What is signed.
std::string Message(std::string_view text, uint64_t seconds) {
  return "cosignature/v1\ntime " + std::to_string(seconds) + '\n' + std::string(text);
}

}  // namespace

Result<Cosigner> Cosigner::Make(std::string name, const Secret& key) {
  SALLYPORT_TRY(SigningKey signing, SigningKey::Make(std::move(name), key, KeyType::cosignature));
  return Cosigner(std::move(signing));
}

Result<std::string> Cosigner::Cosign(std::string_view text, uint64_t seconds) const {
  std::array<uint8_t, kTimeBytes> time{};
  for (size_t i = 0; i < kTimeBytes; ++i) time[i] = uint8_t(seconds >> (8 * (kTimeBytes - 1 - i)));
  return key_.SignatureLine(Message(text, seconds), AsText(time));
}

Result<CosignatureVerifier> CosignatureVerifier::Make(std::string_view vkey) {
  SALLYPORT_TRY(VerifyingKey key, VerifyingKey::Make(vkey, KeyType::cosignature));
  return CosignatureVerifier(std::move(key));
}

Result<uint64_t> CosignatureVerifier::Open(std::string_view text,
                                           const NoteSignature& signature) const {
  if (!key_.IsOf(signature)) return Fail(Errc::not_found, "no cosignature of " + name());
  const auto invalid = [this] {
    return Fail(Errc::token_signature_invalid, "the cosignature of " + name() + " does not verify");
  };
  if (signature.bytes.size() != kTimeBytes + kSignatureBytes) return invalid();
  uint64_t seconds = 0;
  for (size_t i = 0; i < kTimeBytes; ++i) seconds = seconds << 8 | uint8_t(signature.bytes[i]);
  if (!key_.Verify(Message(text, seconds), std::string_view(signature.bytes).substr(kTimeBytes)))
    return invalid();
  return seconds;
}

Result<uint64_t> CosignatureVerifier::Open(const Note& note) const {
  Result<uint64_t> found = Fail(Errc::not_found, "no cosignature of " + name());
  for (const NoteSignature& signature : note.signatures) {
    const Result<uint64_t> time = Open(note.text, signature);
    if (!time && time.error().code == Errc::not_found) continue;
    if (!time) return time;
    if (!found || *time > *found) found = time;
  }
  return found;
}

}  // namespace sallyport::ledger
