#include <cstdio>
#include <filesystem>
#include <fstream>

#include "app/evidence_setup.h"
#include "app/exit_code.h"
#include "app/gateway.h"
#include "app/keys.h"
#include "app/moment.h"
#include "app/read_spool.h"
#include "app/verbs.h"
#include "base/clock.h"
#include "evidence_pack/build.h"
#include "evidence_pack/verify.h"

namespace sallyport::app {
namespace {

int Sorry(const char* command, const Error& error) {
  std::fprintf(stderr, "sallyport evidence %s: %s (%s)\n", command, error.detail.c_str(),
               std::string(ReasonCode(error.code)).c_str());
  return error.code == Errc::token_signature_invalid || error.code == Errc::mask_failed ? kNegative
                                                                                        : kFailed;
}

/// The key in `file`, made if there is none; says in `made` that it was.
Result<evidence_pack::PackKey> KeyOf(const std::filesystem::path& file, bool& made) {
  std::error_code error;
  made = !std::filesystem::exists(file, error);
  SALLYPORT_TRY(const Secret pem, PackKeyFile(file));
  auto key = evidence_pack::PackKey::FromPem(pem);
  if (!key) return Fail(key.error().code, file.string() + ": " + key.error().detail);
  return key;
}

Result<evidence_pack::BuildReport> Build(const EvidencePackOptions& options, const std::string& dir,
                                         const evidence_pack::Setup& setup, Nanos from, Nanos to) {
  if (!std::filesystem::exists(std::filesystem::path(dir) / "log"))
    return Fail(Errc::not_found, dir + " holds no log");
  bool made = false;
  SALLYPORT_TRY(
      const evidence_pack::PackKey key,
      KeyOf(options.key.empty() ? std::filesystem::path(dir) / "state/evidence-pack-p256.key"
                                : std::filesystem::path(options.key),
            made));
  // Before the pack: who cannot have it noted gets none.
  if (made) {
    SALLYPORT_CHECK(NoteFinding(dir, op::EventType::key_created,
                                "evidence-pack " + evidence_pack::Fingerprint(key.public_pem()),
                                true, ""));
  }
  SALLYPORT_CHECK(NoteReading(dir, "evidence pack", options.from + " to " + options.to));
  return evidence_pack::BuildPack({.data_dir = dir,
                                   .out = options.out,
                                   .from = from,
                                   .to = to,
                                   .version = SALLYPORT_VERSION,
                                   .seed = options.seed,
                                   .samples = options.samples},
                                  setup, key);
}

}  // namespace

int RunEvidencePack(const EvidencePackOptions& options) {
  const auto from = MomentOption("evidence pack", options.from);
  const auto to = MomentOption("evidence pack", options.to);
  if (!from || !to) return kUsage;
  if (*to != 0 && *from >= *to) {
    std::fprintf(stderr, "sallyport evidence pack: --from %s is not before --to %s\n",
                 options.from.c_str(), options.to.c_str());
    return kUsage;
  }
  if (*to > SystemClock().WallNow()) {
    std::fprintf(stderr,
                 "sallyport evidence pack: --to %s is in the future: nothing can be said of it\n",
                 options.to.c_str());
    return kUsage;
  }
  evidence_pack::Setup setup;
  std::string dir = options.data_dir;
  if (!options.config.empty()) {
    int exit_code = kOk;
    const Result<config::Root> root = LoadOrExplain(options.config, exit_code);
    if (!root) return exit_code;
    if (dir.empty()) dir = root->server.data_dir.string();
    setup = EvidenceSetup(*root);
  }
  dir = DataDirOrDefault(dir);
  const auto report = Build(options, dir, setup, *from, *to);
  if (!report) return Sorry("pack", report.error());
  std::printf(
      "%s: %llu files, %llu bytes\nsystem:  %s\nperiod:  %s to %s, %llu entries\nsigned:  "
      "%s\n%s.\n",
      options.out.c_str(), static_cast<unsigned long long>(report->files),
      static_cast<unsigned long long>(report->bytes), report->origin.c_str(),
      FormatUtc(report->from).c_str(), FormatUtc(report->to).c_str(),
      static_cast<unsigned long long>(report->entries), report->fingerprint.c_str(),
      report->summary.c_str());
  if (!setup.given)
    std::printf("Without --config: what only the configuration says is not in it.\n");
  return kOk;
}

int RunEvidenceVerify(const EvidenceVerifyOptions& options) {
  const auto broken = [](const Error& error) {
    std::fprintf(stderr, "sallyport evidence verify: %s\n", error.detail.c_str());
    return error.code == Errc::not_found || error.code == Errc::io_failed ? kFailed : kNegative;
  };
  const auto zip = evidence_pack::ZipReader::Open(options.file);
  if (!zip) return broken(zip.error());
  const auto report = evidence_pack::VerifyPack(*zip, options.fingerprint);
  if (!report) return broken(report.error());
  std::printf(
      "Verified OK: %llu files of %s, %s\n%llu entries of a log of %llu, %llu rows and %llu "
      "samples are in it\nsigned by %s\n",
      static_cast<unsigned long long>(report->files), report->origin.c_str(),
      report->period.c_str(), static_cast<unsigned long long>(report->entries),
      static_cast<unsigned long long>(report->log_size),
      static_cast<unsigned long long>(report->rows),
      static_cast<unsigned long long>(report->samples), report->fingerprint.c_str());
  if (options.fingerprint.empty())
    std::printf("Compare this key with the one that you were given, or give it by --key.\n");
  return kOk;
}

}  // namespace sallyport::app
