#include "ledger/proof.h"

#include <algorithm>

#include "base/bytes.h"
#include "ledger/lines.h"
#include "ledger/reader.h"

namespace sallyport::ledger {
namespace {

constexpr std::string_view kMagic = "c2sp.org/tlog-proof@v1";
constexpr size_t kMaxHashes = 63;

}  // namespace

std::string FormatProof(const ProofFile& proof) {
  std::string out(kMagic);
  out += "\nindex " + std::to_string(proof.index) + '\n';
  for (const Hash& hash : proof.hashes) out += Base64Encode(hash) + '\n';
  return out + '\n' + proof.note;
}

Result<ProofFile> ParseProof(std::string_view text) {
  const auto malformed = [](const char* what) {
    return Fail(Errc::request_malformed, std::string("proof file: ") + what);
  };
  if (TakeLine(text) != kMagic) return malformed("the first line is not c2sp.org/tlog-proof@v1");
  auto line = TakeLine(text);
  if (line && line->starts_with("extra ")) {
    if (!Base64Decode(line->substr(6))) return malformed("the extra line is not base64");
    line = TakeLine(text);
  }
  ProofFile proof;
  if (!line || !line->starts_with("index ")) return malformed("no index line");
  const auto index = ParseDecimal(line->substr(6));
  if (!index) return malformed("the index is not a number");
  proof.index = *index;
  for (;;) {
    line = TakeLine(text);
    if (!line) return malformed("it ends before the checkpoint");
    if (line->empty()) break;
    const auto hash = ParseHash(*line);
    if (!hash) return malformed("a hash is not canonical base64");
    if (proof.hashes.size() == kMaxHashes) return malformed("too many hashes");
    proof.hashes.push_back(*hash);
  }
  proof.note = text;
  return proof;
}

Result<ProvenEntries> ProveAll(const std::filesystem::path& data_dir,
                               const std::vector<uint64_t>& indexes) {
  const LogDirectory files(data_dir / "log");
  const uint64_t last = indexes.empty() ? 0 : std::ranges::max(indexes);
  // Under the head that witnesses have cosigned if that covers them: it convinces more people.
  Result<std::string> note = files.Read("checkpoint.cosigned");
  const auto cosigned =
      note ? PeekCheckpoint(*note) : Result<Checkpoint>(std::unexpected(note.error()));
  if (!cosigned || last >= cosigned->size) note = files.Read("checkpoint");
  if (!note && note.error().code == Errc::not_found) {
    return Fail(Errc::not_found, data_dir.string() + " holds no log (there is no log/checkpoint)");
  }
  if (!note) return std::unexpected(note.error());
  SALLYPORT_TRY(const Checkpoint checkpoint, PeekCheckpoint(*note));
  const uint64_t size = checkpoint.size;
  if (last >= size) {
    return Fail(Errc::not_found, "entry " + std::to_string(last) +
                                     " is not covered by the published checkpoint of " +
                                     std::to_string(size) + " entries");
  }
  ProvenEntries out{.note = *std::move(note)};
  SALLYPORT_TRY(out.vkey, files.Read("vkey"));
  while (out.vkey.ends_with('\n')) out.vkey.pop_back();
  SALLYPORT_TRY(LogReader reader, LogReader::Open(data_dir));
  const SubtreeReader subtrees = TileSubtrees(files, size);
  for (const uint64_t index : indexes) {
    ProvenEntries::One& one = out.entries.emplace_back();
    one.index = index;
    SALLYPORT_TRY(one.entry, reader.Read(index));
    SALLYPORT_TRY(one.proof, InclusionProof(index, size, subtrees));
  }
  return out;
}

Result<std::string> Prove(const std::filesystem::path& data_dir, uint64_t index) {
  SALLYPORT_TRY(ProvenEntries proven, ProveAll(data_dir, {index}));
  return FormatProof({index, std::move(proven.entries.front().proof), std::move(proven.note)});
}

Result<Checkpoint> VerifyProof(std::string_view proof, std::string_view entry,
                               const NoteVerifier& verifier) {
  SALLYPORT_TRY(const ProofFile file, ParseProof(proof));
  SALLYPORT_TRY(Checkpoint checkpoint, verifier.OpenCheckpoint(file.note));
  if (!VerifyInclusion(LeafHash(entry), file.index, checkpoint.size, file.hashes,
                       checkpoint.root)) {
    return Fail(Errc::token_signature_invalid,
                "the entry is not at index " + std::to_string(file.index) + " of the signed log");
  }
  return checkpoint;
}

}  // namespace sallyport::ledger
