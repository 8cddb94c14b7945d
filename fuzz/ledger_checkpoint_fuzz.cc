// Signed notes, checkpoints, verifier keys and signing keys.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "ledger/checkpoint.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace sallyport;
  using namespace sallyport::ledger;
  static const NoteSigner signer = *NoteSigner::Make("log.example/a", Secret(std::string(32, 'k')));
  static const NoteVerifier verifier = *NoteVerifier::Make(signer.vkey());
  static const std::string note = *signer.Sign(CheckpointText({"log.example/a", 70'000, {}}));
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  if (const auto text = verifier.Open(bytes)) {
    // Only the note that was signed opens; lines of other keys may stand below it.
    if (*text + "\n" != note.substr(0, text->size() + 1) || !bytes.starts_with(*text)) std::abort();
  }
  // The input as edits (place, xor) of the signed note: none but the note itself may open.
  std::string edited = note;
  for (size_t i = 0; i + 1 < size && i < 16; i += 2)
    edited[data[i] % edited.size()] ^= char(data[i + 1]);
  if (edited != note && verifier.Open(edited)) std::abort();
  if (!verifier.Open(note)) std::abort();

  if (const auto checkpoint = ParseCheckpointText(bytes)) {
    if (CheckpointText(*checkpoint) != bytes) std::abort();  // one spelling
  }
  (void)PeekCheckpoint(bytes);
  if (const auto other = NoteVerifier::Make(bytes)) (void)other->Open(note);
  (void)NoteSigner::Make("log.example/a", Secret(std::string(bytes)));
  return 0;
}
