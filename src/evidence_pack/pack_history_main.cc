// pack_history DIR [ENTRIES [DAYS [OUT.zip]]]: writes a synthetic log to DIR; with OUT.zip makes
// its pack and says what that took. For `./dev bench pack` and by hand.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <sys/resource.h>

#include "evidence_pack/build.h"
#include "evidence_pack/history_for_tests.h"
#include "evidence_pack/verify.h"

namespace {

using namespace sallyport;
using Steady = std::chrono::steady_clock;

double Since(Steady::time_point begin) {
  return std::chrono::duration<double>(Steady::now() - begin).count();
}

int Sorry(const Error& error) {
  std::fprintf(stderr, "pack_history: %s\n", error.detail.c_str());
  return 1;
}

long PeakMiB() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_maxrss / 1024;
}

}  // namespace

int main(int argc, char** argv) {
  using namespace sallyport;
  if (argc < 2) {
    std::fprintf(stderr, "usage: pack_history DIR [ENTRIES [DAYS [OUT.zip]]]\n");
    return 2;
  }
  const uint64_t entries = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 1'000'000;
  const uint32_t days = argc > 3 ? uint32_t(std::strtoul(argv[3], nullptr, 10)) : 30;
  if (!std::filesystem::exists(std::filesystem::path(argv[1]) / "log")) {
    const auto begin = Steady::now();
    const auto made = evidence_pack::MakeHistory(argv[1], entries, days);
    if (!made) return Sorry(made.error());
    std::setbuf(stdout, nullptr);
    std::printf("%llu entries, %llu operations in %.1f s\n",
                static_cast<unsigned long long>(made->entries),
                static_cast<unsigned long long>(made->operations), Since(begin));
  }
  if (argc < 5) return 0;
  const auto key = evidence_pack::PackKey::FromPem(evidence_pack::PackKey::NewPem());
  if (!key) return Sorry(key.error());
  const long before = PeakMiB();
  auto begin = Steady::now();
  const auto report = evidence_pack::BuildPack(
      {.data_dir = argv[1], .out = argv[4], .version = "bench"}, evidence_pack::Setup(), *key);
  if (!report) return Sorry(report.error());
  std::printf(
      "pack of %llu entries: %.1f s, %ld MiB at most (%ld MiB before), %llu bytes, %llu files\n",
      static_cast<unsigned long long>(report->entries), Since(begin), PeakMiB(), before,
      static_cast<unsigned long long>(report->bytes),
      static_cast<unsigned long long>(report->files));
  begin = Steady::now();
  const auto zip = evidence_pack::ZipReader::Open(argv[4]);
  if (!zip) return Sorry(zip.error());
  const auto verified = evidence_pack::VerifyPack(*zip, report->fingerprint);
  if (!verified) return Sorry(verified.error());
  std::printf("verified %llu rows in %.1f s\n%s\n", static_cast<unsigned long long>(verified->rows),
              Since(begin), report->summary.c_str());
  return 0;
}
