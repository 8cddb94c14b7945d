#include "ledger/promise_for_tests.h"

#include <optional>
#include <utility>

#include "ledger/reader.h"
#include "ledger/scratch_for_tests.h"
#include "ledger/verify.h"

namespace sallyport::ledger {
namespace {

/// A disk that says which boot this is, and has nothing to wait for.
class BootedDisk : public Disk {
 public:
  explicit BootedDisk(int boot) : name_(BootName(boot)) {}
  std::string BootId() override { return name_; }
  int SyncData(int) override { return 0; }
  int Sync(int) override { return 0; }

 private:
  std::string name_;
};

}  // namespace

Options CrashOptions(const std::filesystem::path& root) {
  Options options = TestOptions(root / "data");
  options.segment_bytes = 2 * (60'000 + 17) + 1000;
  options.checkpoint_interval = std::chrono::milliseconds(2);
  return options;
}

std::string BootName(int boot) {
  return "00000000-0000-4000-8000-" + std::to_string(100'000'000'000 + boot);
}

DiskRecord AllOnDisk(const DiskRecord& record) {
  DiskRecord all{record.start, {}};
  for (const DiskOperation& op : record.operations) {
    for (const auto& naming : op.names) {
      if (naming.node >= int(all.start.nodes.size()))
        all.start.nodes.resize(size_t(naming.node) + 1);
    }
    Apply(all.start, op);
  }
  return all;
}

std::string BrokenPromise(const std::filesystem::path& root, const Promised& promised, int boot) {
  BootedDisk disk(boot);
  const DiskInPlace in_place(disk);
  auto ledger = Ledger::Open(CrashOptions(root));
  if (!ledger) return "open: " + ledger.error().detail;
  const auto index = (*ledger)->AppendStrictBlocking("{\"after\":true}");
  if (!index) return "append: " + index.error().detail;
  if (const auto closed = (*ledger)->Close(); !closed) return "close: " + closed.error().detail;
  ledger->reset();
  std::optional<std::string> head;
  if (!promised.head.empty()) head = promised.head;
  const VerifyReport report = VerifyDataDir(root / "data", {}, head);
  if (!report.ok()) return "verify: " + report.Text();
  auto reader = LogReader::Open(root / "data");
  if (!reader) return "read: " + reader.error().detail;
  for (const auto& [i, entry] : promised.entries) {
    const auto found = reader->Read(i);
    if (!found) return "entry " + std::to_string(i) + " is lost: " + found.error().detail;
    if (*found != entry) return "entry " + std::to_string(i) + " is another one";
  }
  return {};
}

}  // namespace sallyport::ledger
