// What anybody sends to a witness: it is read in one way only, and never cosigned unless a log's
// key signed it.
#include <string_view>

#include "ledger/checkpoint.h"
#include "ledger/note.h"
#include "witness/submission.h"

using namespace sallyport;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view body(reinterpret_cast<const char*>(data), size);
  const auto submission = witness::ParseSubmission(body);
  if (!submission) return 0;
  if (witness::FormatSubmission(*submission) != body) __builtin_trap();
  if (submission->proof.size() > 63) __builtin_trap();
  const auto note = ledger::ParseNote(submission->note);
  if (note && note->signatures.size() > 64) __builtin_trap();
  const auto head = ledger::PeekCheckpoint(submission->note);
  if (head && !submission->note.starts_with(ledger::CheckpointText(*head))) __builtin_trap();
  return 0;
}
