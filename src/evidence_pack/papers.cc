#include "evidence_pack/papers.h"

#include <algorithm>

#include "evidence_pack/digest.h"

namespace sallyport::evidence_pack {
namespace {

constexpr std::string_view kVerify = R"(# Verifying this pack without us

You need `unzip`, `sha256sum` and `openssl`, and the fingerprint of the key that signs packs, which you were given on
another way than this pack (a letter, the gateway's configuration record, an earlier pack).

Unpack it into an empty directory and go there, then:

1. Nothing is changed, nothing is missing:

       sha256sum --check --strict --quiet integrity/manifest.sha256

   No output and exit status 0.

2. Nothing was added:

       find . -type f ! -path ./integrity/manifest.sha256 ! -path ./integrity/manifest.sig | sed 's|^\./||' | LC_ALL=C sort | diff - <(cut -c67- integrity/manifest.sha256 | LC_ALL=C sort)

   No output and exit status 0.

3. The list of files is signed:

       openssl dgst -sha256 -verify integrity/public-key.pem -signature integrity/manifest.sig integrity/manifest.sha256

   `Verified OK`.

4. By the key that you know:

       openssl pkey -pubin -in integrity/public-key.pem -outform DER | openssl dgst -sha256 -binary | openssl base64

   The fingerprint that you were given, without its `SHA256:`.

## A row of a table

Each row about one entry of the gateway's log begins with the entry's `index`, its time, and its `leaf`: base64 of SHA-256 of a zero
byte and the entry (RFC 6962). `integrity/leaves.txt` has the leaf of every entry of the period, one a line, the first one
for the index behind `first` in `integrity/range`:

    sed -n "$((INDEX - FIRST + 1))p" integrity/leaves.txt

Draw entries as you like, ask for each one by its index (`sallyport audit prove INDEX` and the entry itself), and compare:

    (printf '\0'; cat INDEX.entry) | openssl dgst -sha256 -binary | openssl base64

Those in `samples/` were drawn by the seed in `samples/sample.json` and are whole.

## The log

`integrity/checkpoint` is the signed head of the log (C2SP tlog-checkpoint), `integrity/vkey` the key that it was signed
with, `integrity/range` the hashes that lead from `leaves.txt` to the root in the head,
`integrity/checkpoint.cosigned` (if there is one) the head that witnesses have cosigned and `integrity/consistency` the
proof that the log only grew since. All of it is checked by

    sallyport evidence verify PACK.zip

and each `.tlog-proof` by any program that reads C2SP tlog-proof.
)";

std::string AboutOf(Pack& pack, const Requirement& requirement) {
  const Answer& answer = pack.AnswerOf(requirement.id);
  Json files = Json::array();
  for (const Artefact& a : pack.artefacts()) {
    if (std::ranges::find(a.requirements, requirement.id) == a.requirements.end()) continue;
    files.push_back({{"file", a.file},
                     {"title", a.title},
                     {"type", a.type},
                     {"system", pack.head().origin},
                     {"query", a.query},
                     {"from", Moment(pack.head().from)},
                     {"to", Moment(pack.head().to)},
                     {"count", a.population},
                     {"bytes", a.bytes},
                     {"sha256", a.sha256}});
  }
  const Json about{{"requirement", requirement.id},
                   {"title", requirement.title},
                   {"system", pack.head().origin},
                   {"from", Moment(pack.head().from)},
                   {"to", Moment(pack.head().to)},
                   {"status", StatusName(pack.StatusOf(requirement))},
                   {"responsibility", SplitName(requirement.split)},
                   {"a_person", requirement.person},
                   {"figures", answer.figures},
                   {"exceptions", answer.exceptions},
                   {"no_entry", answer.missing},
                   {"files", std::move(files)}};
  return about.dump(1, ' ', false, Json::error_handler_t::replace) + "\n";
}

std::string AuditInfo(Pack& pack, const BuildReport& report, const PackKey& key) {
  const Setup& setup = pack.setup();
  Json zone = "UTC";
  const PackScan& scan = pack.scan();
  const Json info{
      {"pack", "sallyport evidence pack v1"},
      {"generator", "sallyport " + pack.head().version},
      {"system", pack.head().origin},
      {"log_key", pack.head().vkey},
      {"from", Moment(pack.head().from)},
      {"to", Moment(pack.head().to)},
      {"zone", zone},
      {"entries_of_the_period", report.entries},
      {"configuration", setup.given ? Json{{"sha256_base64", setup.digest},
                                           {"note",
                                            "as it was when the pack was made; versions "
                                            "over time: evidence/07.2.3"}}
                                    : Json("not given to the command")},
      {"signed_by", Fingerprint(key.public_pem())},
      {"evidenced", pack.Summary()},
      {"scan_of_this_pack",
       {{"what",
         "every file before compression, by the detectors pan and sad; digests that the pack "
         "has computed itself are passed over"},
        {"bytes", scan.bytes()},
        {"card_numbers", scan.pan()},
        {"authentication_data", scan.sad()}}},
      {"judgement",
       "This pack is evidence. Whether requirements are met is for the assessor to say."}};
  return info.dump(1, ' ', false, Json::error_handler_t::replace) + "\n";
}

Result<> CheckScan(Pack& pack) {
  if (pack.scan().pan() + pack.scan().sad() == 0) return {};
  return Fail(Errc::mask_failed, "no pack is made: " + pack.scan().first() +
                                     " stands what looks like a card number (" +
                                     std::to_string(pack.scan().pan() + pack.scan().sad()) +
                                     " in all)");
}

/// `sha256sum` format, sorted by name.
std::string Manifest(const Pack& pack) {
  std::vector<std::string> lines;
  for (const PackFile& file : pack.files())
    lines.push_back(file.packed().sha256() + "  " + file.name() + "\n");
  std::ranges::sort(lines, {}, [](const std::string& line) { return line.substr(66); });
  std::string out;
  for (const std::string& line : lines) out += line;
  return out;
}

}  // namespace

std::string FolderOf(std::string_view requirement) {
  const size_t dot = requirement.find('.');
  return "evidence/" + std::string(dot == 1 ? "0" : "") + std::string(requirement) + "/";
}

std::string RegisterCsv(Pack& pack) {
  PackFile& file = pack.Open("controls-to-evidence.csv");
  Csv csv(file, {"ref_no", "pci_req", "testing_procedure", "evidence_type", "title", "file",
                 "sha256", "from", "to", "population", "system", "responsibility", "status"});
  int number = 0;
  for (const Requirement& requirement : Requirements()) {
    const std::string status(StatusName(pack.StatusOf(requirement)));
    const auto row = [&](const Artefact* a) {
      char reference[16];
      std::snprintf(reference, sizeof reference, "E-%03d", ++number);
      csv.Cell(reference).Cell(requirement.id).Cell("").Cell(a != nullptr ? a->type : "");
      csv.Cell(a != nullptr ? a->title : std::string(requirement.title));
      csv.Cell(a != nullptr ? a->file : "").Cell(a != nullptr ? a->sha256 : "");
      csv.When(pack.head().from).When(pack.head().to);
      if (a != nullptr)
        csv.Cell(a->population);
      else
        csv.Cell("");
      csv.Cell(pack.head().origin).Cell(SplitName(requirement.split)).Cell(status).End();
    };
    bool any = false;
    for (const Artefact& a : pack.artefacts()) {
      if (std::ranges::find(a.requirements, requirement.id) == a.requirements.end()) continue;
      row(&a);
      any = true;
    }
    if (!any) row(nullptr);
  }
  return file.name();
}

Result<> AddPapers(Pack& pack, BuildReport& report, const PackKey& key) {
  SALLYPORT_CHECK(pack.CloseFiles());
  report.summary = pack.Summary();
  for (const Requirement& requirement : Requirements())
    pack.Put(FolderOf(requirement.id) + "about.json", AboutOf(pack, requirement));
  AddOscal(pack);
  RegisterCsv(pack);
  SALLYPORT_CHECK(AddWorkbook(pack));
  SALLYPORT_CHECK(AddSummary(pack, report.fingerprint));
  pack.Put("index.html", IndexPage(pack, report.fingerprint));
  pack.Put("VERIFY.md", kVerify);
  pack.Put("integrity/public-key.pem", key.public_pem());
  SALLYPORT_CHECK(pack.CloseFiles());
  SALLYPORT_CHECK(CheckScan(pack));
  pack.Put("audit-info.json", AuditInfo(pack, report, key));
  SALLYPORT_CHECK(pack.CloseFiles());
  const std::string manifest = Manifest(pack);
  SALLYPORT_TRY(const std::string signature, key.Sign(manifest));
  pack.Put("integrity/manifest.sha256", manifest);
  pack.Put("integrity/manifest.sig", signature, PackFile::Kind::binary);
  SALLYPORT_CHECK(pack.CloseFiles());
  return CheckScan(pack);
}

}  // namespace sallyport::evidence_pack
