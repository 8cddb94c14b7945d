#include "app/arguments.h"
#include "app/verbs.h"

namespace sallyport::app {

void AddEvidenceVerbs(CLI::App& root, Chosen& chosen) {
  CLI::App* evidence = Command(root, "evidence", "What an assessor gets: the pack, and its proof",
                               "sallyport evidence verify pack.zip");
  evidence->require_subcommand(1);

  static EvidencePackOptions pack;
  CLI::App* c = Command(*evidence, "pack", "Makes the evidence pack of a period",
                        "sallyport evidence pack --config sallyport.yaml --from 2026-07-01 --to "
                        "2026-10-01 --out pack.zip");
  c->add_option("--from", pack.from, "from this time on (default: the first entry)");
  c->add_option("--to", pack.to, "before this time (default: behind the last entry)");
  c->add_option("--out", pack.out, "file to write")->required();
  c->add_option("--config", pack.config,
                "configuration: what only it can say, and where the data directory is");
  c->add_option("--data-dir", pack.data_dir, "data directory, or a copy of it");
  c->add_option("--seed", pack.seed, "any text by which samples are drawn: the assessor's");
  c->add_option("--samples", pack.samples, "how many entries are drawn")
      ->check(CLI::Range(0, 1000))
      ->capture_default_str();
  c->add_option("--key", pack.key,
                "private key that signs it (PEM, P-256; default: one in the data directory, made "
                "at first use)");
  c->callback([&chosen] { chosen = [] { return RunEvidencePack(pack); }; });

  static EvidenceVerifyOptions verify;
  c = Command(*evidence, "verify", "Proves that a pack is whole, unchanged, and of its log",
              "sallyport evidence verify pack.zip --key SHA256:…");
  c->add_option("file", verify.file, "the pack")->required();
  c->add_option("--key", verify.fingerprint, "fingerprint of the key, as you were given it");
  c->callback([&chosen] { chosen = [] { return RunEvidenceVerify(verify); }; });

  static AuditCoverageOptions coverage;
  c = Command(*evidence, "coverage", "As audit coverage: the gaps, before the assessor comes",
              "sallyport evidence coverage --from 2026-07-01 --to 2026-10-01");
  c->add_option("data_dir,--data-dir", coverage.data_dir, "data directory, or a copy of it");
  c->add_option("--from", coverage.from, "from this time on (default: the first entry)");
  c->add_option("--to", coverage.to, "before this time (default: the last entry)");
  c->add_flag("--json", coverage.json, "as JSON");
  c->callback([&chosen] { chosen = [] { return RunAuditCoverage(coverage); }; });
}

}  // namespace sallyport::app
