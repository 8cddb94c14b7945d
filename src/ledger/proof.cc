#include "ledger/proof.h"

#include <charconv>
#include <cstring>
#include <optional>

#include "base/bytes.h"
#include "ledger/reader.h"

namespace sallyport::ledger {
namespace {

constexpr std::string_view kMagic = "c2sp.org/tlog-proof@v1";
constexpr size_t kMaxHashes = 63;

std::optional<std::string_view> TakeLine(std::string_view& text) {
  const size_t end = text.find('\n');
  if (end == std::string_view::npos) return std::nullopt;
  const std::string_view line = text.substr(0, end);
  text.remove_prefix(end + 1);
  return line;
}

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
  const std::string_view number = line->substr(6);
  const auto [end, error] =
      std::from_chars(number.data(), number.data() + number.size(), proof.index);
  if (error != std::errc() || std::to_string(proof.index) != number)
    return malformed("the index is not a number");
  for (;;) {
    line = TakeLine(text);
    if (!line) return malformed("it ends before the checkpoint");
    if (line->empty()) break;
    const auto bytes = Base64Decode(*line);
    if (!bytes || bytes->size() != sizeof(Hash)) return malformed("a hash is not canonical base64");
    if (proof.hashes.size() == kMaxHashes) return malformed("too many hashes");
    std::memcpy(proof.hashes.emplace_back().data(), bytes->data(), sizeof(Hash));
  }
  proof.note = text;
  return proof;
}

Result<std::string> Prove(const std::filesystem::path& data_dir, uint64_t index) {
  const LogDirectory files(data_dir / "log");
  Result<std::string> note = files.Read("checkpoint");
  if (!note && note.error().code == Errc::not_found) {
    return Fail(Errc::not_found, data_dir.string() + " holds no log (there is no log/checkpoint)");
  }
  if (!note) return note;
  SALLYPORT_TRY(const Checkpoint checkpoint, PeekCheckpoint(*note));
  const uint64_t size = checkpoint.size;
  if (index >= size) {
    return Fail(Errc::not_found, "entry " + std::to_string(index) +
                                     " is not covered by the published checkpoint of " +
                                     std::to_string(size) + " entries");
  }
  ProofFile proof;
  proof.index = index;
  SALLYPORT_TRY(proof.hashes, InclusionProof(index, size, TileSubtrees(files, size)));
  proof.note = *std::move(note);
  return FormatProof(proof);
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
