#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/secret.h"
#include "base/task.h"
#include "ledger/checkpoint.h"
#include "ledger/tile.h"
#include "op/evidence.h"

namespace sallyport::ledger {

/// What an acknowledged entry survives (docs/life-of-a-record.md).
enum class Durability : uint8_t {
  group,   // the death of the process (kill -9); not a power cut of the last checkpoint interval
  strict,  // a power cut as well
};

/// Where payloads are kept that do not stand in their entries. The ledger knows nothing of it but
/// that its commits wait for it. Thread-safe.
class PayloadStore {
 public:
  virtual ~PayloadStore() = default;
  /// Before the entry is encoded: brings its payloads into the store and leaves in it where they
  /// are. recording_unavailable: then nothing may be recorded or released.
  virtual Result<> Keep(op::Evidence& evidence, const op::Session& session) = 0;
  /// What was kept before survives a power cut after this. Called by the committer's thread before
  /// entries become durable; an error poisons the ledger.
  virtual Result<> Sync() = 0;
  /// The session has ended.
  virtual void Forget(const op::Session& session) = 0;
  /// Empty, or why nothing can be kept any more.
  virtual std::string failure() const = 0;
};

struct Options {
  std::filesystem::path data_dir;  // made with mode 0700 if it is not there
  std::string origin;              // the log's name in every checkpoint, "gate.example.com/cde-1"
  Secret signing_key;  // Ed25519: PEM (PKCS #8), the C2SP "PRIVATE+KEY+…" line, or a 32-byte seed
  /// strict: AppendStrict completes when the published `checkpoint` file covers the entry; group:
  /// when a signed checkpoint in the synced write-ahead log does, and the file follows within the
  /// interval.
  Durability durability = Durability::group;
  std::chrono::milliseconds checkpoint_interval{
      100};                          // longest wait until a checkpoint covers an entry
  size_t queue_limit = 65'536;       // entries not yet published; beyond it Append refuses
  size_t queue_bytes = 256u << 20;   // the same in bytes
  size_t segment_bytes = 32u << 20;  // of one write-ahead log file, zero-filled in advance
  /// Where payloads are kept outside; must outlive the ledger. Null: all stands in the entries.
  PayloadStore* payloads = nullptr;
};

struct Stats {
  uint64_t size = 0;           // entries with an index
  uint64_t durable = 0;        // entries below it survive a power cut
  uint64_t published = 0;      // size in the published checkpoint
  uint64_t commits = 0;        // fdatasync calls that made entries durable
  uint64_t refused = 0;        // appends refused: full, closed, poisoned, too long
  uint64_t commit_p50_us = 0;  // of the latest 1,024 commits
  uint64_t commit_p99_us = 0;
  uint64_t queued = 0;  // entries not yet published
  std::string failure;  // why the ledger is poisoned; empty while healthy
};

/// What Open found. All zero after a clean Close.
struct Recovery {
  bool created = false;   // there was no log
  uint64_t replayed = 0;  // entries taken from the write-ahead log into tiles
  uint64_t dropped_bytes =
      0;  // of a torn tail: never acknowledged, or lost by a power cut in group mode
  uint64_t dropped_frames = 0;  // whole frames among them
};

/// The evidence log: an append-only C2SP tlog-tiles log (https://c2sp.org/tlog-tiles) under
/// `data_dir/log`, fed through a write-ahead log under `data_dir/wal`. One process may have it
/// open. Thread-safe.
///
/// An acknowledged entry has a durable place: it keeps its index for ever, and Open after any crash
/// finds it or refuses to start. After a failed write or sync the ledger is poisoned for good: each
/// append fails with ledger_unavailable, because what the kernel still holds can no longer be
/// known.
class Ledger {
 public:
  /// Opens or creates the log, replaying what a crash left. Refused with a detail that names the
  /// file: another process has it open; the key or origin is not the log's; an entry before the
  /// torn tail is corrupt; the published checkpoint, or the one that witnesses have cosigned
  /// (`log/checkpoint.cosigned`), covers more than can be recovered; the directory cannot be
  /// written.
  static Result<std::unique_ptr<Ledger>> Open(Options options);

  /// Close(), ignoring its result.
  ~Ledger();
  Ledger(const Ledger&) = delete;
  Ledger& operator=(const Ledger&) = delete;

  /// Group durability, for the hot path: gives `entry` the next index and writes it with one
  /// write(2) before it returns. No context switch. ledger_unavailable if poisoned, full, closed or
  /// the entry is too long.
  Result<uint64_t> Append(std::string_view entry);

  /// As Append, for coroutines on an io_context: what they append in one turn of its loop goes out
  /// together, with one write(2), behind the handlers that are ready; each goes on when its entry
  /// is written. Not cancelled by anything.
  Task<uint64_t> AppendSoon(std::string entry);

  /// As Append, and completes when an fdatasync covers the entry and a signed checkpoint with it is
  /// written. Resumes on the caller's executor. The ledger must be closed before that executor's
  /// context is destroyed.
  Task<uint64_t> AppendStrict(std::string entry);
  Result<uint64_t> AppendStrictBlocking(std::string_view entry);

  /// The published checkpoint with cosignatures of witnesses (https://c2sp.org/tlog-cosignature):
  /// is put in its place, unless a newer one is published by then. `note` must be a note of this
  /// log.
  void Cosigned(const Checkpoint& head, std::string note);

  bool healthy() const;
  /// True while so much is waiting to be published that a caller who can wait should use
  /// AppendStrict instead: back-pressure before the queue is full and refuses.
  bool pressed() const;
  Stats stats() const;
  const Recovery& recovery() const;

  /// Publishes a checkpoint that covers all entries, syncs everything, stops the threads. Later
  /// appends fail.
  Result<> Close();

  /// The verifier key "name+hash+base64" of https://c2sp.org/signed-note, to be remembered by
  /// outsiders.
  std::string vkey() const;
  const std::string& origin() const;
  PayloadStore* payloads() const;  // null: none

  struct Impl;

 private:
  explicit Ledger(std::shared_ptr<Impl> impl);
  std::shared_ptr<Impl> impl_;  // entries of AppendSoon look whether it is still there
};

}  // namespace sallyport::ledger
