#include "ledger/io_faults_for_tests.h"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <mutex>
#include <random>
#include <set>
#include <thread>
#include <utility>
#include <vector>

#include "ledger/power_cut_for_tests.h"
#include "ledger/promise_for_tests.h"

namespace sallyport::ledger {
namespace {

enum class Fault : uint8_t { io_error, disk_full, part };
constexpr const char* kFaultNames[] = {"EIO", "ENOSPC", "a part"};

/// Fails at one operation, or from it on.
class FaultyDisk : public RecordedDisk {
 public:
  FaultyDisk(const std::filesystem::path& root, DiskRecord before, uint64_t at, Fault fault,
             bool goes_on)
      : RecordedDisk(root, std::move(before), BootName(1)),
        at_(at),
        fault_(fault),
        goes_on_(goes_on) {}

  int Open(const std::string& path, int flags, mode_t mode) override {
    return Fails() ? -1 : RecordedDisk::Open(path, flags, mode);
  }
  ssize_t Write(int fd, std::span<const iovec> pieces, off_t at) override {
    if (!Fails(true)) return RecordedDisk::Write(fd, pieces, at);
    if (fault_ != Fault::part) return -1;
    const iovec half{pieces[0].iov_base, (pieces[0].iov_len + 1) / 2};
    return RecordedDisk::Write(fd, {&half, 1}, at);
  }
  int Truncate(int fd, off_t size) override {
    return Fails() ? -1 : RecordedDisk::Truncate(fd, size);
  }
  int SyncData(int fd) override { return Sync(fd); }
  /// After a sync that failed, what was written may be gone and a later one says nothing about it.
  int Sync(int fd) override {
    if (Fails()) {
      const std::lock_guard lock(mutex_);
      lost_.insert(fd);
      return -1;
    }
    {
      const std::lock_guard lock(mutex_);
      if (lost_.contains(fd)) return 0;
    }
    return RecordedDisk::Sync(fd);
  }
  int SyncPath(const std::string& path) override {
    return Fails() ? -1 : RecordedDisk::SyncPath(path);
  }
  int Rename(const std::string& from, const std::string& to, unsigned flags) override {
    return Fails() ? -1 : RecordedDisk::Rename(from, to, flags);
  }
  int Unlink(const std::string& path) override { return Fails() ? -1 : RecordedDisk::Unlink(path); }
  int MakeDirectory(const std::string& path, mode_t mode) override {
    return Fails() ? -1 : RecordedDisk::MakeDirectory(path, mode);
  }
  int RemoveDirectory(const std::string& path) override {
    return Fails() ? -1 : RecordedDisk::RemoveDirectory(path);
  }

  uint64_t faults() const { return faults_; }
  uint64_t asked() const { return asked_; }

 private:
  bool Fails(bool writes = false) {
    const uint64_t now = asked_++;
    if (goes_on_ ? now < at_ : now != at_) return false;
    if (fault_ == Fault::part && !writes) return false;
    ++faults_;
    errno = fault_ == Fault::disk_full ? ENOSPC : EIO;
    return true;
  }

  const uint64_t at_;
  const Fault fault_;
  const bool goes_on_;
  std::atomic<uint64_t> asked_ = 0, faults_ = 0;
  std::mutex mutex_;
  std::set<int> lost_;
};

/// What left the process of its calls, and which entry stands for it.
struct Sent {
  uint64_t index;
  std::string entry;
  bool strict;
};

class Faults {
 public:
  Faults(const std::filesystem::path& directory, uint64_t runs, uint64_t seed)
      : directory_(directory), wanted_(runs), random_(seed), seed_(seed) {}

  IoFaults Go() {
    while (!Done()) {
      const DiskRecord prepared = Prepared();
      // In strides, so that a few runs see the beginning and the end.
      constexpr uint64_t kStride = 11;
      uint64_t asked = OneRun(prepared, ~uint64_t(0), Fault::io_error, false);
      for (uint64_t first = 0; first < kStride; ++first) {
        for (uint64_t at = first; at < asked && !Done(); at += kStride)
          asked = std::max(asked, OneRun(prepared, at, Fault(random_() % 3), random_() % 2 == 0));
      }
    }
    return std::move(result_);
  }

 private:
  bool Done() const { return result_.runs >= wanted_ || !result_.failure.empty(); }

  DiskRecord Prepared() {
    std::filesystem::remove_all(directory_);
    std::filesystem::create_directories(directory_);
    constexpr int kSizes[] = {0, 10, 252, 508};
    const int entries = kSizes[random_() % std::size(kSizes)];
    promised_ = {};
    RecordedDisk disk(directory_, {}, BootName(0));
    if (entries > 0) {
      const DiskInPlace in_place(disk);
      auto ledger = Ledger::Open(CrashOptions(directory_));
      for (int i = 0; ledger && i < entries; ++i) {
        const std::string entry = "{\"prepared\":" + std::to_string(i) + "}";
        if (const auto index = (*ledger)->Append(entry)) promised_.entries[*index] = entry;
      }
      if (!ledger || !(*ledger)->Close()) result_.failure = "the log could not be prepared";
      promised_.head = disk.published().empty() ? "" : disk.published().back().note;
    }
    return AllOnDisk(disk.record());
  }

  /// How many operations there were.
  uint64_t OneRun(const DiskRecord& prepared, uint64_t at, Fault fault, bool goes_on) {
    prepared.start.Write(directory_);
    std::vector<Sent> sent;
    FaultyDisk disk(directory_, prepared, at, fault, goes_on);
    {
      const DiskInPlace in_place(disk);
      Options options = CrashOptions(directory_);
      if (at % 3 == 0) options.durability = Durability::strict;
      auto ledger = Ledger::Open(std::move(options));
      if (ledger) {
        sent = UseGate(**ledger);
        result_.poisoned += !(*ledger)->healthy();
        (void)(*ledger)->Close();
      } else {
        ++result_.refused_open;
      }
    }
    result_.faults += disk.faults();
    result_.runs += disk.faults() > 0;
    Check(disk, sent);
    if (!result_.failure.empty())
      result_.failure += std::string(" (seed ") + std::to_string(seed_) + ", run " +
                         std::to_string(result_.runs) + ", " + kFaultNames[size_t(fault)] +
                         " at operation " + std::to_string(at) + (goes_on ? " and later" : "") +
                         ")";
    return disk.asked();
  }

  void Check(const FaultyDisk& disk, const std::vector<Sent>& sent) {
    PowerCut cut(disk.record());
    while (cut.Advance()) {
    }
    for (const auto left : {PowerCut::Left::all, PowerCut::Left::anything}) {
      const bool power_cut = left != PowerCut::Left::all;
      Promised promised = promised_;
      if (!disk.published().empty()) promised.head = disk.published().back().note;
      for (const Sent& s : sent) {
        if (s.strict || !power_cut) promised.entries[s.index] = s.entry;
      }
      cut.After(left, random_).Write(directory_);
      const std::string problem = BrokenPromise(directory_, promised, power_cut ? 2 : 1);
      if (!problem.empty() && result_.failure.empty())
        result_.failure = problem + (power_cut ? ", after a power cut" : ", after the death");
    }
  }

  /// Two clients, a call after the other each.
  std::vector<Sent> UseGate(Ledger& ledger) {
    std::vector<Sent> sent;
    std::mutex mutex;
    const auto client = [&](uint64_t seed) {
      std::mt19937_64 random(seed);
      for (int i = 0; i < 5; ++i) Call(ledger, random, sent, mutex);
    };
    std::thread other(client, random_());
    client(random_());
    other.join();
    return sent;
  }

  /// The gate's order: intent, upstream, outcome, client.
  void Call(Ledger& ledger, std::mt19937_64& random, std::vector<Sent>& sent, std::mutex& mutex) {
    const bool strict = random() % 3 == 0;
    const std::string body(random() % 5 == 0 ? random() % 40'000 : random() % 200, 'b');
    const auto record = [&](const char* what) {
      const std::string entry = std::string("{\"") + what + "\":" + std::to_string(next_++) +
                                ",\"body\":\"" + body + "\"}";
      const bool failed = !ledger.healthy();
      const auto index = strict ? ledger.AppendStrictBlocking(entry) : ledger.Append(entry);
      const std::lock_guard lock(mutex);
      if (failed && index) result_.failure = "a ledger that had failed took an entry";
      if (index) {
        sent.push_back({*index, entry, strict});
      } else {
        ++result_.withheld;
      }
      return index.has_value();
    };
    if (!record("intent")) return;
    Count(mutex, result_.sent);
    if (!record("outcome")) return;
    Count(mutex, result_.released);
  }

  static void Count(std::mutex& mutex, uint64_t& counter) {
    const std::lock_guard lock(mutex);
    ++counter;
  }

  const std::filesystem::path directory_;
  const uint64_t wanted_;
  std::mt19937_64 random_;
  const uint64_t seed_;
  std::atomic<uint64_t> next_ = 0;
  Promised promised_;
  IoFaults result_;
};

}  // namespace

IoFaults RunIoFaults(const std::filesystem::path& directory, uint64_t runs, uint64_t seed) {
  return Faults(directory, runs, seed).Go();
}

}  // namespace sallyport::ledger
