#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <future>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/result.h"
#include "ledger/tile_writer.h"
#include "ledger/wal_writer.h"

namespace sallyport::ledger {

/// Called once with the index or the failure, on a thread of the ledger. Must not block.
using StrictDone = std::move_only_function<void(Result<uint64_t>)>;

/// Someone who waits for an entry to be committed.
struct Waiter {
  uint64_t index;
  StrictDone done;
};

/// What one commit made durable in the write-ahead log.
struct Commit {
  std::vector<std::string> entries;  // in the encoding of bundles, in pieces
  std::vector<TileHash> hashes;
  uint64_t size = 0;  // of the tree with them
  std::string note;   // signed checkpoint of that size
  std::vector<WalWriter::Closed> closed;
  std::vector<Waiter> waiters;  // who waits until the checkpoint is published
};

/// The thread that turns commits into the files of the log, keeps a spare segment ready and deletes
/// segments whose entries are in synced tiles, or uses them again. It works behind the commits, so
/// that no caller waits for it.
class Publisher {
 public:
  struct Hooks {
    std::function<void(uint64_t size)> published;
    std::function<void(std::string reason)> failed;  // called once; the thread has ended its work
    std::function<std::filesystem::path()> wanted_spare;
    std::function<bool(std::shared_ptr<Segment>)> put_spare;  // false: not wanted any more
  };

  /// Continues a log of `published` entries. `old`: segments of an earlier process, all of whose
  /// entries are in `tiles`, which may not be synced yet.
  Publisher(TileWriter tiles, uint64_t published, std::vector<WalWriter::Closed> old,
            std::chrono::milliseconds spacing, size_t segment_bytes, Hooks hooks);
  ~Publisher();  // without Stop: drops what waits

  void Submit(Commit commit);
  /// `note` is the published checkpoint of `size` with cosignatures: takes its place unless a newer
  /// one is published by then.
  void Cosigned(uint64_t size, std::string note);
  /// Publishes what waits, syncs everything and ends the thread. False if it had failed.
  bool Stop();

 private:
  /// What a thread of its own has done while publishing went on: syncing the many files of a
  /// segment takes seconds on a busy disk.
  struct Retirement {
    Result<> result;
    std::shared_ptr<Segment> reusable;
  };
  static Retirement RetireNow(const TileWriter::Unsynced& unsynced,
                              const std::vector<WalWriter::Closed>& closed, size_t reusable_bytes);

  void Run();
  Result<> Work(std::vector<Commit>& commits);
  void Fail(const std::string& reason, std::vector<Commit> commits);
  Result<> Retire();
  Result<> Retired();
  Result<> MakeSpare();

  TileWriter tiles_;
  const std::chrono::milliseconds spacing_;
  const size_t segment_bytes_;
  Hooks hooks_;
  std::vector<WalWriter::Closed> closed_;
  std::future<Retirement> retiring_;
  std::shared_ptr<Segment> retired_;  // the next spare one, with zeros again
  uint64_t published_ = 0;

  std::mutex mutex_;
  std::condition_variable wake_;
  std::vector<Commit> queue_;
  std::optional<std::pair<uint64_t, std::string>> cosigned_;
  bool stopping_ = false;
  bool abandoned_ = false;
  bool failed_ = false;
  std::thread thread_;  // last: starts when the rest is ready
};

}  // namespace sallyport::ledger
