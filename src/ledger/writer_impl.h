#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "ledger/checkpoint.h"
#include "ledger/publisher.h"
#include "ledger/recover.h"
#include "ledger/wal_writer.h"
#include "ledger/writer.h"

namespace sallyport::ledger {

/// Two threads behind one mutex: callers append frames under it; the committer takes what is
/// pending, syncs the write-ahead log, extends the tree and signs; the publisher writes the files
/// of the log.
struct Ledger::Impl {
  Impl(Options options, NoteSigner signer);
  ~Impl();

  Result<> Open();
  Result<uint64_t> Append(std::string_view entry);
  /// All of them with one write(2) and consecutive indexes, or, after an error, an unknown part of
  /// them. `bundle`: the same entries in the encoding of bundles. Returns the first index.
  Result<uint64_t> Append(std::span<const std::string_view> entries, std::string bundle);
  void AppendStrict(std::string_view entry, StrictDone done);
  Result<> Close();
  void Cosigned(uint64_t size, std::string note) { publisher_->Cosigned(size, std::move(note)); }
  Stats GetStats() const;

  const Options options;
  const NoteSigner signer;
  Recovery recovery;
  std::atomic<bool> poisoned{false};
  std::atomic<bool> pressed = false;  // more than half of the queue waits to be published

 private:
  /// Entries that have an index and are not yet committed.
  struct Pending {
    std::vector<std::string> entries;  // in the encoding of bundles, in pieces
    uint64_t count = 0;
    size_t bytes = 0;
  };

  Result<> LockDirectory();
  void Unlock();
  Result<> WriteVkey();
  Result<> Restart(Recovered recovered);
  void StartThreads(TileWriter tiles, std::vector<WalWriter::Closed> old);
  Result<std::shared_ptr<Segment>> FirstSegment(const Recovered& recovered, std::string_view note);

  Result<uint64_t> AppendLocked(std::string_view entry);
  Result<> AdmitLocked(size_t longest);
  Result<uint64_t> WriteLocked(std::span<const std::string_view> entries);
  void Poison(const std::string& reason);
  void PoisonLocked(const std::string& reason);
  void RunCommitter();
  Result<> CommitOnce(Pending pending, std::vector<std::shared_ptr<Segment>> segments,
                      Commit& commit);
  void NoteLatency(std::chrono::steady_clock::duration d);

  int lock_fd_ = -1;
  size_t segment_bytes_ = 0;
  Frontier tree_;  // the committer's

  mutable std::mutex mutex_;
  std::condition_variable wake_;
  std::optional<WalWriter> wal_;
  std::shared_ptr<Segment> reserve_;
  Pending pending_;
  std::vector<Waiter> waiters_;
  std::string frame_;  // scratch
  uint64_t next_index_ = 0;
  uint64_t durable_ = 0;
  uint64_t commits_ = 0;
  uint64_t refused_ = 0;
  uint64_t queued_bytes_ = 0;
  uint64_t published_ = 0;
  std::vector<std::pair<uint64_t, uint64_t>> submitted_;  // (size, bytes) handed to the publisher
  std::vector<uint32_t> latencies_;                       // ring, microseconds
  size_t latency_next_ = 0;
  std::string failure_;
  bool open_ = false;
  bool stopping_ = false;

  std::unique_ptr<Publisher> publisher_;
  std::thread committer_;
};

}  // namespace sallyport::ledger
