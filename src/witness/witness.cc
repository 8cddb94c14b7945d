#include "witness/witness.h"

#include "base/bytes.h"
#include "ledger/file.h"
#include "ledger/note.h"
#include "ledger/tree.h"
#include "obs/log.h"
#include "witness/submission.h"

namespace sallyport::witness {
namespace {

Witness::Answer Refuse(int status, std::string why) {
  return {.status = status, .body = std::move(why) + '\n'};
}

}  // namespace

std::string OriginHash(std::string_view origin) { return HexEncode(ledger::Sha256(origin)); }

Result<std::unique_ptr<Witness>> Witness::Open(Options options, const Clock& clock) {
  SALLYPORT_TRY(ledger::Cosigner cosigner, ledger::Cosigner::Make(options.name, options.key));
  SALLYPORT_CHECK(ledger::MakeDirectories(options.dir));
  std::unique_ptr<Witness> witness(new Witness(std::move(options), std::move(cosigner), clock));
  for (const std::string& key : witness->options_.logs) {
    SALLYPORT_TRY(ledger::NoteVerifier verifier, ledger::NoteVerifier::Make(key));
    const std::string origin = verifier.name();
    Log log{.verifier = std::move(verifier), .file = OriginHash(origin)};
    SALLYPORT_CHECK(witness->Load(log));
    if (!witness->logs_.emplace(origin, std::move(log)).second)
      return Fail(Errc::config_invalid, "two keys for the log " + origin);
  }
  return witness;
}

Result<> Witness::Load(Log& log) {
  const auto path = options_.dir / log.file;
  Result<std::string> note = ledger::ReadFile(path);
  if (!note && note.error().code == Errc::not_found) return {};
  if (!note) return std::unexpected(note.error());
  const auto foreign = [&](const std::string& why) {
    return Fail(Errc::io_failed, path.string() + " is not what this witness has cosigned: " + why);
  };
  const auto head = log.verifier.OpenCheckpoint(*note);
  if (!head) return foreign(head.error().detail);
  SALLYPORT_TRY(const auto own, ledger::CosignatureVerifier::Make(vkey()));
  SALLYPORT_TRY(const ledger::Note parsed, ledger::ParseNote(*note));
  if (const auto cosigned = own.Open(parsed); !cosigned) return foreign(cosigned.error().detail);
  log.size = head->size;
  log.root = head->root;
  log.note = *std::move(note);
  return {};
}

Witness::Answer Witness::AddCheckpoint(std::string_view body) {
  const auto submission = ParseSubmission(body);
  if (!submission) return Refuse(400, submission.error().detail);
  const auto claimed = ledger::PeekCheckpoint(submission->note);
  if (!claimed) return Refuse(400, claimed.error().detail);
  const std::lock_guard lock(mutex_);
  const auto found = logs_.find(claimed->origin);
  if (found == logs_.end()) return Refuse(404, "this witness does not follow the log");
  Log& log = found->second;
  const auto head = log.verifier.OpenCheckpoint(submission->note);
  if (!head) return Refuse(403, head.error().detail);
  if (submission->old_size > head->size)
    return Refuse(400, "the old size is larger than the checkpoint's");
  // Before the sender's old size is looked at: two heads of one size are proof, whatever it says.
  if (head->size == log.size && !log.note.empty() && head->root != log.root)
    KeepEquivocation(log, submission->note);
  if (submission->old_size != log.size) {
    return {
        .status = 409, .content_type = "text/x.tlog.size", .body = std::to_string(log.size) + '\n'};
  }
  if (head->size == 0 && head->root != ledger::EmptyRoot())
    return Refuse(422, "an empty log has another root");
  if (head->size == log.size) {
    if (!log.note.empty() && head->root != log.root)
      return Refuse(422, "this log had another root at this size: it has forked");
    if (!submission->proof.empty()) return Refuse(422, "the proof must be empty");
  } else if (log.size == 0) {
    if (!submission->proof.empty()) return Refuse(422, "the proof must be empty");
  } else if (!ledger::VerifyConsistency(log.size, log.root, head->size, head->root,
                                        submission->proof)) {
    return Refuse(422, "the proof does not show that the checkpoint continues the last one");
  }
  return Cosign(log, *head, submission->note);
}

Witness::Answer Witness::Cosign(Log& log, const ledger::Checkpoint& head, std::string_view note) {
  const std::string text = ledger::CheckpointText(head);
  const auto line = cosigner_.Cosign(text, uint64_t(clock_.WallNow() / 1'000'000'000));
  if (!line) return Refuse(500, "signing failed");
  // Of the other signatures only the log's is kept: the rest is not this witness's word.
  const auto parsed = ledger::ParseNote(note);
  if (!parsed) return Refuse(500, "the note has changed");
  std::string kept = text + '\n';
  for (const ledger::NoteSignature& signature : parsed->signatures) {
    if (log.verifier.IsOf(signature)) kept += signature.line;
  }
  kept += *line;
  auto stored = ledger::ReplaceFile(options_.dir / log.file, kept);
  if (stored) stored = ledger::SyncPath(options_.dir);
  if (!stored) {
    obs::Log(obs::Level::error, "witness.not_kept", {{"detail", stored.error().detail}});
    return Refuse(500, "the checkpoint could not be stored, so it is not cosigned");
  }
  log.size = head.size;
  log.root = head.root;
  log.note = std::move(kept);
  return {.body = *line};
}

Witness::Answer Witness::Head(std::string_view origin_hash) const {
  const std::lock_guard lock(mutex_);
  for (const auto& [origin, log] : logs_) {
    if (log.file == origin_hash && !log.note.empty()) return {.body = log.note};
  }
  return Refuse(404, "nothing was cosigned under this name");
}

void Witness::KeepEquivocation(const Log& log, std::string_view note) const {
  const std::string name = "equivocation-" + log.file + '-' + std::to_string(log.size) + ".txt";
  obs::Log(obs::Level::error, "witness.equivocation",
           {{"origin", log.verifier.name()}, {"size", log.size}, {"file", name}});
  const auto path = options_.dir / name;
  std::error_code ignored;
  if (std::filesystem::exists(path, ignored)) return;  // the first one is proof enough
  const std::string both = log.note + '\n' + std::string(note);
  if (const auto kept = ledger::ReplaceFile(path, both); !kept)
    obs::Log(obs::Level::error, "witness.not_kept", {{"detail", kept.error().detail}});
}

}  // namespace sallyport::witness
