#include "evidence_pack/verify.h"

#include <map>
#include <nlohmann/json.hpp>

#include "base/bytes.h"
#include "evidence_pack/digest.h"
#include "evidence_pack/integrity.h"
#include "evidence_pack/range_proof.h"
#include "evidence_pack/signature.h"
#include "ledger/checkpoint.h"
#include "ledger/lines.h"
#include "ledger/proof.h"
#include "ledger/sample.h"

namespace sallyport::evidence_pack {
namespace {

using ledger::Hash;
constexpr std::string_view kManifest = "integrity/manifest.sha256";
constexpr std::string_view kSignature = "integrity/manifest.sig";

std::unexpected<Error> Broken(std::string_view item, const std::string& what) {
  return Fail(Errc::token_signature_invalid, std::string(item) + ": " + what);
}

class Check {
 public:
  Check(const ZipReader& zip, const std::string& fingerprint) : zip_(zip), expected_(fingerprint) {
    for (const Member& member : zip.members()) members_.emplace(member.name, &member);
  }

  Result<VerifyPackReport> Run() {
    SALLYPORT_CHECK(Signature());
    SALLYPORT_CHECK(Files());
    SALLYPORT_CHECK(Log());
    SALLYPORT_CHECK(Leaves());
    SALLYPORT_CHECK(Cosigned());
    SALLYPORT_CHECK(Samples());
    for (const Member& member : zip_.members()) {
      if (member.name.ends_with(".csv")) SALLYPORT_CHECK(Rows(member));
    }
    return Info();
  }

 private:
  Result<std::string> Content(std::string_view name) const {
    const auto found = members_.find(std::string(name));
    if (found == members_.end()) return Broken(name, "is missing");
    return zip_.Content(*found->second);
  }

  Result<> Signature() {
    SALLYPORT_TRY(manifest_, Content(kManifest));
    SALLYPORT_TRY(const std::string signature, Content(kSignature));
    SALLYPORT_TRY(const std::string pem, Content("integrity/public-key.pem"));
    report_.fingerprint = Fingerprint(pem);
    if (report_.fingerprint.empty())
      return Broken("integrity/public-key.pem", "is no public key on P-256");
    if (!expected_.empty() && report_.fingerprint != expected_)
      return Broken("integrity/public-key.pem",
                    "is " + report_.fingerprint + ", not the key that you expect");
    if (!VerifyPackSignature(pem, manifest_, signature))
      return Broken(kManifest, "its signature does not verify");
    return {};
  }

  /// The manifest is ours, as it is signed; its form is checked all the same.
  Result<> Files() {
    std::string_view rest = manifest_;
    std::string previous;
    while (!rest.empty()) {
      const auto line = ledger::TakeLine(rest);
      if (!line || line->size() < 67 || line->substr(64, 2) != "  ")
        return Broken(kManifest, "is no list of digests");
      const std::string name(line->substr(66));
      if (name <= previous) return Broken(kManifest, "is not in order");
      previous = name;
      const auto found = members_.find(name);
      if (found == members_.end()) return Broken(name, "is missing");
      Digest digest;
      SALLYPORT_CHECK(
          zip_.Inflate(*found->second, [&](std::string_view piece) { digest.Add(piece); }));
      if (digest.Hex() != line->substr(0, 64)) return Broken(name, "was changed");
      ++report_.files;
    }
    for (const auto& [name, member] : members_) {
      const bool listed = manifest_.find("  " + name + "\n") != std::string::npos;
      if (!listed && name != kManifest && name != kSignature)
        return Broken(name, "is not in the manifest");
    }
    return {};
  }

  Result<> Log() {
    SALLYPORT_TRY(std::string vkey, Content("integrity/vkey"));
    SALLYPORT_TRY(note_, Content("integrity/checkpoint"));
    while (vkey.ends_with('\n')) vkey.pop_back();
    auto verifier = ledger::NoteVerifier::Make(vkey);
    if (!verifier) return Broken("integrity/vkey", verifier.error().detail);
    verifier_.emplace(std::move(*verifier));
    const auto head = verifier_->OpenCheckpoint(note_);
    if (!head) return Broken("integrity/checkpoint", head.error().detail);
    head_ = *head;
    report_.origin = head_.origin;
    report_.log_size = head_.size;
    return {};
  }

  Result<> Leaves() {
    SALLYPORT_TRY(const std::string range, Content("integrity/range"));
    std::string_view rest = range;
    const auto number = [&](std::string_view key) -> std::optional<uint64_t> {
      const auto line = ledger::TakeLine(rest);
      if (!line || !line->starts_with(key)) return std::nullopt;
      return ledger::ParseDecimal(line->substr(key.size()));
    };
    const auto title = ledger::TakeLine(rest);
    const auto first = number("first "), end = number("end ");
    if (!title || *title != kRangeHeader || !first || !end || *first >= *end || *end > head_.size)
      return Broken("integrity/range", "cannot be read");
    std::vector<Hash> proof;
    while (!rest.empty()) {
      const auto line = ledger::TakeLine(rest);
      const auto hash = line ? ledger::ParseHash(*line) : std::nullopt;
      if (!hash || proof.size() > 256) return Broken("integrity/range", "cannot be read");
      proof.push_back(*hash);
    }
    first_ = *first;
    const auto found = members_.find("integrity/leaves.txt");
    if (found == members_.end()) return Broken("integrity/leaves.txt", "is missing");
    if (found->second->size != (*end - *first) * 45)
      return Broken("integrity/leaves.txt", "does not have one line for each entry");
    SALLYPORT_TRY(leaves_, zip_.Content(*found->second, kMostZipBytes));
    uint64_t at = 0;
    const auto root = RootOfRange(*first, *end, head_.size, proof, [&](Hash& leaf) {
      const auto hash = LeafAt(at++);
      if (hash) leaf = *hash;
      return hash.has_value();
    });
    if (!root || *root != head_.root || at != *end - *first)
      return Broken("integrity/leaves.txt", "these entries are not those of the signed log");
    report_.entries = at;
    return {};
  }

  std::optional<Hash> LeafAt(uint64_t n) const {
    if (leaves_[n * 45 + 44] != '\n') return std::nullopt;
    return ledger::ParseHash(std::string_view(leaves_).substr(n * 45, 44));
  }

  Result<> Cosigned() {
    if (!members_.contains("integrity/checkpoint.cosigned")) return {};
    SALLYPORT_TRY(const std::string note, Content("integrity/checkpoint.cosigned"));
    SALLYPORT_TRY(const std::string lines, Content("integrity/consistency"));
    const auto old = verifier_->OpenCheckpoint(note);
    if (!old) return Broken("integrity/checkpoint.cosigned", old.error().detail);
    std::vector<Hash> proof;
    for (std::string_view rest = lines; !rest.empty();) {
      const auto line = ledger::TakeLine(rest);
      const auto hash = line ? ledger::ParseHash(*line) : std::nullopt;
      if (!hash) return Broken("integrity/consistency", "cannot be read");
      proof.push_back(*hash);
    }
    if (old->size > head_.size ||
        !ledger::VerifyConsistency(old->size, old->root, head_.size, head_.root, proof))
      return Broken("integrity/consistency", "the cosigned head is not of this log");
    report_.cosigned_size = old->size;
    return {};
  }

  Result<> Samples() {
    SALLYPORT_TRY(const std::string text, Content("samples/sample.json"));
    const auto sample = nlohmann::json::parse(text, nullptr, false);
    if (!sample.is_object() || !sample.contains("picks") || !sample["picks"].is_array() ||
        !sample.contains("seed") || !sample["seed"].is_string())
      return Broken("samples/sample.json", "cannot be read");
    std::vector<uint64_t> picks = ledger::SampleIndexes(sample["seed"].get<std::string>(),
                                                        report_.entries, sample["picks"].size());
    if (picks.size() != sample["picks"].size())
      return Broken("samples/sample.json", "the picks are not those of its seed");
    for (size_t i = 0; i < picks.size(); ++i) {
      picks[i] += first_;
      if (sample["picks"][i] != picks[i])
        return Broken("samples/sample.json", "the picks are not those of its seed");
      const std::string name = "samples/" + std::to_string(picks[i]);
      SALLYPORT_TRY(const std::string entry, Content(name + ".entry"));
      SALLYPORT_TRY(const std::string proof, Content(name + ".tlog-proof"));
      const auto proven = ledger::VerifyProof(proof, entry, *verifier_);
      if (!proven) return Broken(name + ".tlog-proof", proven.error().detail);
      if (LeafAt(picks[i] - first_) != ledger::LeafHash(entry))
        return Broken(name + ".entry", "is another entry than that of its index");
      ++report_.samples;
    }
    return {};
  }

  /// Rows that name an entry begin with its index, time and leaf.
  Result<> Rows(const Member& member) {
    std::string line;
    uint64_t number = 0;
    bool quoted = false, about_entries = false, good = true;
    SALLYPORT_CHECK(zip_.Inflate(member, [&](std::string_view piece) {
      for (const char c : piece) {
        if (c == '"') quoted = !quoted;
        if (c != '\n' || quoted) {
          if (line.size() < 120) line += c;
          continue;
        }
        if (number++ == 0)
          about_entries = line.starts_with("index,time,leaf,");
        else if (about_entries && good)
          good = RowIsOfLog(line);
        line.clear();
      }
    }));
    if (!good) return Broken(member.name, "row " + std::to_string(number) + " names another entry");
    if (about_entries) report_.rows += number - 1;
    return {};
  }

  bool RowIsOfLog(std::string_view line) const {
    const size_t comma = line.find(',');
    if (comma == std::string_view::npos) return false;
    const auto index = ledger::ParseDecimal(line.substr(0, comma));
    const size_t leaf = line.find(',', comma + 1) + 1;
    if (!index || leaf == 0 || line.size() < leaf + 45 || line[leaf + 44] != ',') return false;
    if (*index < first_ || *index - first_ >= report_.entries) return false;
    return std::string_view(leaves_).substr((*index - first_) * 45, 44) == line.substr(leaf, 44);
  }

  Result<VerifyPackReport> Info() {
    SALLYPORT_TRY(const std::string text, Content("audit-info.json"));
    const auto info = nlohmann::json::parse(text, nullptr, false);
    const auto said = [&](const char* key) -> std::string {
      const auto it = info.is_object() ? info.find(key) : info.end();
      return it != info.end() && it->is_string() ? it->get<std::string>() : "";
    };
    if (said("system") != report_.origin)
      return Broken("audit-info.json", "speaks of another system");
    report_.period = said("from") + " to " + said("to");
    report_.evidenced = said("evidenced");
    return report_;
  }

  const ZipReader& zip_;
  const std::string& expected_;
  std::map<std::string, const Member*> members_;
  std::string manifest_, note_, leaves_;
  std::optional<ledger::NoteVerifier> verifier_;
  ledger::Checkpoint head_;
  uint64_t first_ = 0;
  VerifyPackReport report_;
};

}  // namespace

Result<VerifyPackReport> VerifyPack(const ZipReader& pack, const std::string& fingerprint) {
  return Check(pack, fingerprint).Run();
}

}  // namespace sallyport::evidence_pack
