#include "ledger/crash_states_for_tests.h"

#include <algorithm>
#include <chrono>
#include <functional>
#include <mutex>
#include <random>
#include <set>
#include <thread>
#include <utility>
#include <vector>

#include "ledger/power_cut_for_tests.h"
#include "ledger/promise_for_tests.h"
#include "ledger/recorded_disk_for_tests.h"
#include "ledger/scratch_for_tests.h"

namespace sallyport::ledger {
namespace {

using Left = PowerCut::Left;
constexpr Left kLeft[] = {Left::all, Left::nothing, Left::journal, Left::anything};

/// An entry that its caller went on with.
struct Acknowledged {
  size_t after;  // operations
  uint64_t index;
  std::string entry;
  bool strict;
};

/// One recorded run of a ledger.
struct Run {
  DiskRecord record;
  std::vector<Acknowledged> acknowledged;
  std::vector<RecordedDisk::Published> published;
  Promised before;   // from before this run, whatever happens
  size_t begin = 0;  // operations before it
  int boot = 0;
};

class Campaign {
 public:
  Campaign(const std::filesystem::path& directory, uint64_t images, uint64_t seed)
      : directory_(directory), wanted_(images), seed_(seed), random_(seed) {}

  CrashStates Go() {
    while (result_.images < wanted_ && result_.failure.empty()) {
      const Run first = Record(Prepared(), {}, {}, 1);
      Enumerate(first, 0);
    }
    return std::move(result_);
  }

 private:
  uint64_t Below(uint64_t n) { return random_() % n; }
  std::string NewEntry() {
    const uint64_t length = Below(6) == 0 ? Below(40'000) : Below(300);
    return "{\"n\":" + std::to_string(next_entry_++) + ",\"x\":\"" +
           std::string(length, char('a' + Below(26))) + "\"}";
  }

  /// A log near the border of a bundle, or none yet, on a disk that holds all of it.
  DiskRecord Prepared() {
    std::filesystem::remove_all(directory_);
    std::filesystem::create_directories(directory_);
    constexpr int kSizes[] = {0, 0, 3, 250, 255, 256, 509};
    const int entries = kSizes[Below(std::size(kSizes))];
    RecordedDisk disk(directory_, {}, BootName(0));
    if (entries > 0) {
      const DiskInPlace in_place(disk);
      auto ledger = Ledger::Open(CrashOptions(directory_));
      for (int i = 0; ledger && i < entries; ++i)
        (void)(*ledger)->Append("{\"prepared\":" + std::to_string(i) + "}");
      if (!ledger || !(*ledger)->Close()) Failed("the log could not be prepared", "");
    }
    return AllOnDisk(disk.record());
  }

  void Failed(const std::string& what, const std::string& where) {
    if (result_.failure.empty())
      result_.failure = what + " (seed " + std::to_string(seed_) + ", image " +
                        std::to_string(result_.images) + where + ")";
  }

  /// Lets a ledger run on what the record ends with.
  Run Record(DiskRecord record, std::vector<Acknowledged> acknowledged, Promised before, int boot) {
    Run run;
    run.acknowledged = std::move(acknowledged);
    run.before = std::move(before);
    run.boot = boot;
    run.begin = record.operations.size();
    ++result_.sessions;
    const bool restart = !record.operations.empty() || !run.before.entries.empty();
    RecordedDisk disk(directory_, std::move(record), BootName(boot));
    {
      const DiskInPlace in_place(disk);
      Options options = CrashOptions(directory_);
      if (Below(3) == 0) options.durability = Durability::strict;
      auto ledger = Ledger::Open(std::move(options));
      if (!ledger) {
        Failed("open: " + ledger.error().detail, ", recorded");
        return run;
      }
      Append(**ledger, disk, restart ? 8 : 24, run);
      if (!(*ledger)->Close()) Failed("close failed", ", recorded");
    }
    run.record = disk.record();
    run.published = disk.published();
    result_.operations += run.record.operations.size();
    result_.restarts += restart;
    return run;
  }

  /// Two callers at once, some waiting until the entry is durable.
  void Append(Ledger& ledger, RecordedDisk& disk, int entries, Run& run) {
    std::mutex mutex;
    const auto append = [&](const std::vector<std::pair<std::string, unsigned>>& work) {
      for (const auto& [entry, how] : work) {
        const bool strict = how % 3 == 0;
        const auto index = strict ? ledger.AppendStrictBlocking(entry) : ledger.Append(entry);
        if (!index) return;
        const size_t after = disk.count();
        {
          const std::lock_guard lock(mutex);
          run.acknowledged.push_back({after, *index, entry, strict});
        }
        if (how % 7 == 0) std::this_thread::sleep_for(std::chrono::milliseconds(3));
      }
    };
    std::vector<std::pair<std::string, unsigned>> a, b;
    for (int i = 0; i < entries; ++i)
      (Below(3) == 0 ? b : a).emplace_back(NewEntry(), unsigned(Below(100)));
    std::thread other([&] { append(b); });
    append(a);
    other.join();
  }

  Promised PromisedAfter(const Run& run, size_t operations, bool power_cut) const {
    Promised promised = run.before;
    for (const auto& p : run.published) {
      if (p.after <= operations) promised.head = p.note;
    }
    for (const Acknowledged& a : run.acknowledged) {
      if (a.after <= operations && (a.strict || !power_cut)) promised.entries[a.index] = a.entry;
    }
    return promised;
  }

  /// Every moment of a run; `depth`: how many crashes there were before.
  void Enumerate(const Run& run, int depth) {
    PowerCut disk(run.record);
    while (disk.done() < run.begin) disk.Advance();
    const size_t operations = run.record.operations.size();
    const size_t again = depth < 2 ? run.begin + Below(operations - run.begin + 1) : operations + 1;
    std::vector<Run> next;
    do {
      const int times = depth == 0 ? 3 : 1;
      for (const Left left : kLeft) {
        const bool drawn = left == Left::journal || left == Left::anything;
        for (int i = 0; i < (drawn ? times : 1); ++i) {
          if (!result_.failure.empty()) return;
          Check(disk.After(left, random_), run, disk.done(), left);
        }
      }
      if (disk.done() == again && result_.failure.empty()) {
        const Left left = kLeft[Below(4)];
        next.push_back(RunOn(disk, run, left));
      }
    } while (disk.Advance() && (result_.images < wanted_ || depth > 0));
    for (const Run& n : next) {
      if (result_.failure.empty()) Enumerate(n, depth + 1);
    }
  }

  Run RunOn(const PowerCut& disk, const Run& run, Left left) {
    const bool power_cut = left != Left::all;
    const DiskTree tree = disk.After(left, random_);
    tree.Write(directory_);
    if (power_cut) {
      return Record({tree, {}}, {}, PromisedAfter(run, disk.done(), true), run.boot + 1);
    }
    DiskRecord record = run.record;
    record.operations.resize(disk.done());
    std::vector<Acknowledged> acknowledged;
    for (const Acknowledged& a : run.acknowledged) {
      if (a.after <= disk.done()) acknowledged.push_back(a);
    }
    Promised before = run.before;
    before.head = PromisedAfter(run, disk.done(), false).head;
    return Record(std::move(record), std::move(acknowledged), std::move(before), run.boot);
  }

  void Check(const DiskTree& image, const Run& run, size_t operations, Left left) {
    const bool power_cut = left != Left::all;
    ++result_.images;
    result_.different += seen_.insert(Digest(image)).second;
    const Promised promised = PromisedAfter(run, operations, power_cut);
    result_.acknowledged += promised.entries.size();
    image.Write(directory_);
    const std::string problem =
        BrokenPromise(directory_, promised, power_cut ? run.boot + 1 : run.boot);
    if (problem.empty()) return;
    constexpr const char* kNames[] = {"all", "nothing", "journal", "anything"};
    Failed(problem, std::string(", left ") + kNames[size_t(left)] + ", operation " +
                        std::to_string(operations) + " of " +
                        std::to_string(run.record.operations.size()) + ", boot " +
                        std::to_string(run.boot));
    image.Write(directory_);
  }

  static uint64_t Digest(const DiskTree& tree) {
    uint64_t digest = 14695981039346656037u;
    const std::hash<std::string_view> hash;
    for (const auto& node : tree.nodes) {
      const size_t end = node.bytes.find_last_not_of('\0');
      const std::string_view used(node.bytes.data(), end == std::string::npos ? 0 : end + 1);
      digest = (digest ^ hash(used) ^ node.bytes.size()) * 1099511628211u;
      for (const auto& [name, child] : node.entries)
        digest = (digest ^ hash(name) ^ uint64_t(child)) * 1099511628211u;
    }
    return digest;
  }

  const std::filesystem::path directory_;
  const uint64_t wanted_, seed_;
  std::mt19937_64 random_;
  uint64_t next_entry_ = 0;
  std::set<uint64_t> seen_;
  CrashStates result_;
};

}  // namespace

CrashStates RunCrashStates(const std::filesystem::path& directory, uint64_t images, uint64_t seed) {
  return Campaign(directory, images, seed).Go();
}

}  // namespace sallyport::ledger
