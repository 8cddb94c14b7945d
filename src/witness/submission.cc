#include "witness/submission.h"

#include "base/bytes.h"
#include "ledger/lines.h"

namespace sallyport::witness {
namespace {

constexpr size_t kMaxHashes = 63;

}  // namespace

std::string FormatSubmission(const Submission& submission) {
  std::string body = "old " + std::to_string(submission.old_size) + '\n';
  for (const ledger::Hash& hash : submission.proof) body += Base64Encode(hash) + '\n';
  return body + '\n' + submission.note;
}

Result<Submission> ParseSubmission(std::string_view body) {
  const auto malformed = [](const char* what) {
    return Fail(Errc::request_malformed, std::string("submission: ") + what);
  };
  if (body.size() > kMaxSubmissionBytes) return malformed("too long");
  auto line = ledger::TakeLine(body);
  if (!line || !line->starts_with("old ")) return malformed("the first line is not \"old SIZE\"");
  const auto size = ledger::ParseDecimal(line->substr(4));
  if (!size) return malformed("the old size is not a canonical decimal number");
  Submission out{*size, {}, {}};
  for (;;) {
    line = ledger::TakeLine(body);
    if (!line) return malformed("it ends before the checkpoint");
    if (line->empty()) break;
    const auto hash = ledger::ParseHash(*line);
    if (!hash) return malformed("a hash is not canonical base64");
    if (out.proof.size() == kMaxHashes) return malformed("more than 63 hashes");
    out.proof.push_back(*hash);
  }
  out.note = body;
  return out;
}

}  // namespace sallyport::witness
