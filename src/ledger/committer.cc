#include <algorithm>
#include <future>
#include <pthread.h>

#include "base/bytes.h"
#include "ledger/entry.h"
#include "ledger/file.h"
#include "ledger/tile.h"
#include "ledger/wal.h"
#include "ledger/writer_impl.h"

namespace sallyport::ledger {
namespace {

constexpr size_t kLatencies = 1024;
constexpr size_t kPiece = 64 << 10;  // of the queue, for single entries

/// The last entry of a ledger that failed.
std::string FailureEntry(const std::string& reason) {
  op::Evidence e;
  e.type = op::EventType::log_failed;
  e.at = SystemClock().WallNow();
  e.ok = false;
  e.detail = reason;
  return EncodeEntry(e);
}

}  // namespace

Result<uint64_t> Ledger::Impl::Append(std::string_view entry) {
  const std::lock_guard lock(mutex_);
  return AppendLocked(entry);
}

void Ledger::Impl::AppendStrict(std::string_view entry, StrictDone done) {
  std::unique_lock lock(mutex_);
  Result<uint64_t> index = AppendLocked(entry);
  if (!index) {
    lock.unlock();
    done(std::move(index));
    return;
  }
  waiters_.push_back({*index, std::move(done)});
  lock.unlock();
  wake_.notify_one();
}

Result<uint64_t> Ledger::Impl::Append(std::span<const std::string_view> entries,
                                      std::string bundle) {
  size_t longest = 0;
  for (const std::string_view entry : entries) longest = std::max(longest, entry.size());
  const std::lock_guard lock(mutex_);
  SALLYPORT_CHECK(AdmitLocked(longest));
  SALLYPORT_TRY(const uint64_t first, WriteLocked(entries));
  pending_.bytes += bundle.size();
  queued_bytes_ += bundle.size();
  pending_.entries.push_back(std::move(bundle));
  return first;
}

Result<uint64_t> Ledger::Impl::AppendLocked(std::string_view entry) {
  SALLYPORT_CHECK(AdmitLocked(entry.size()));
  SALLYPORT_TRY(const uint64_t index, WriteLocked({&entry, 1}));
  if (pending_.entries.empty() || pending_.entries.back().size() >= kPiece)
    pending_.entries.emplace_back();
  AppendToBundle(pending_.entries.back(), entry);
  pending_.bytes += 2 + entry.size();
  queued_bytes_ += 2 + entry.size();
  return index;
}

Result<> Ledger::Impl::AdmitLocked(size_t longest) {
  const auto refuse = [this](std::string why) {
    ++refused_;
    return Fail(Errc::ledger_unavailable, std::move(why));
  };
  if (poisoned) return refuse("the ledger has failed: " + failure_);
  if (!open_) return refuse("the ledger is closed");
  if (longest > kMaxEntryBytes) return refuse("the entry is longer than 60,000 bytes");
  if (next_index_ - published_ >= options.queue_limit || queued_bytes_ >= options.queue_bytes) {
    wake_.notify_one();
    return refuse("the ledger's queue is full");
  }
  return {};
}

/// Gives the entries their indexes and brings them into the write-ahead log; the caller adds them
/// to what is pending.
Result<uint64_t> Ledger::Impl::WriteLocked(std::span<const std::string_view> entries) {
  size_t written = 0;
  const Result<> result = wal_->AppendLeaves(entries, next_index_, written);
  const uint64_t first = next_index_;
  // What is whole in the file keeps its index even if the rest failed: recovery will find it.
  next_index_ += written;
  if (!result) {
    PoisonLocked(result.error().detail);
    ++refused_;
    return Fail(Errc::ledger_unavailable, "the ledger has failed: " + failure_);
  }
  const uint64_t before = std::exchange(pending_.count, pending_.count + written);
  // The committer looks at the queue on its own; it is only called when much has come together.
  const uint64_t much = options.queue_limit / 4;
  if (before < much && pending_.count >= much) wake_.notify_one();
  pressed.store(next_index_ - published_ > options.queue_limit / 2, std::memory_order_relaxed);
  return first;
}

void Ledger::Impl::Poison(const std::string& reason) {
  {
    const std::lock_guard lock(mutex_);
    PoisonLocked(reason);
  }
  wake_.notify_one();
}

void Ledger::Impl::PoisonLocked(const std::string& reason) {
  if (poisoned) return;
  failure_ = reason;
  poisoned = true;
  wake_.notify_one();
  // One last entry, into space that was set aside: what fails here changes nothing any more.
  const std::string entry = FailureEntry(reason);
  frame_.clear();
  AppendFrame(frame_, {FrameType::leaf, next_index_, entry});
  if (reserve_ && reserve_->Fits(frame_.size()) && reserve_->Append(frame_)) (void)reserve_->Sync();
}

void Ledger::Impl::RunCommitter() {
  ::pthread_setname_np(::pthread_self(), "ledger-commit");
  const auto interval = std::max(options.checkpoint_interval / 2, std::chrono::milliseconds(1));
  for (bool last = false; !last;) {
    std::unique_lock lock(mutex_);
    wake_.wait_for(lock, interval, [this] {
      return stopping_ || poisoned || !waiters_.empty() ||
             pending_.count >= options.queue_limit / 4;
    });
    last = stopping_ || poisoned;
    Pending pending = std::exchange(pending_, {});
    std::vector<Waiter> waiters = std::exchange(waiters_, {});
    std::vector<std::shared_ptr<Segment>> segments;
    Commit commit;
    if (pending.count > 0) segments = wal_->TakeUnsynced(), commit.closed = wal_->TakeClosed();
    lock.unlock();

    Result<> result;
    if (poisoned) {
      result = Fail(Errc::ledger_unavailable, "the ledger has failed");
    } else if (pending.count > 0) {
      // Configured as strict, the checkpoint file itself covers an entry before its caller goes on.
      if (options.durability == Durability::strict) commit.waiters.swap(waiters);
      result = CommitOnce(std::move(pending), std::move(segments), commit);
      if (!result) {
        Poison(result.error().detail);
        last = true;
      }
    }
    for (std::vector<Waiter>* group : {&waiters, &commit.waiters}) {
      for (Waiter& waiter : *group) {
        if (result) {
          waiter.done(waiter.index);
        } else {
          waiter.done(Fail(Errc::ledger_unavailable, "the ledger has failed"));
        }
      }
    }
  }
  // Who appended between the failure and this point still waits.
  std::vector<Waiter> rest;
  {
    const std::lock_guard lock(mutex_);
    rest = std::exchange(waiters_, {});
  }
  for (Waiter& waiter : rest) waiter.done(Fail(Errc::ledger_unavailable, "the ledger has failed"));
}

Result<> Ledger::Impl::CommitOnce(Pending pending, std::vector<std::shared_ptr<Segment>> segments,
                                  Commit& commit) {
  const auto begun = std::chrono::steady_clock::now();
  for (const auto& segment : segments) segment->BeginSync();
  commit.hashes.reserve(pending.count + pending.count / 128 + 8);
  for (std::string_view rest : pending.entries) {
    while (!rest.empty()) {
      const size_t length = LoadBe16(reinterpret_cast<const uint8_t*>(rest.data()));
      tree_.Append(LeafHash(rest.substr(2, length)), &commit.hashes);
      rest.remove_prefix(2 + length);
    }
  }
  commit.size = tree_.size();
  SALLYPORT_TRY(commit.note,
                signer.Sign(CheckpointText({signer.name(), commit.size, tree_.Root()})));
  if (options.payloads != nullptr) SALLYPORT_CHECK(options.payloads->Sync());
  for (const auto& segment : segments) SALLYPORT_CHECK(segment->Sync());
  if (!commit.closed.empty())
    SALLYPORT_CHECK(SyncPath(options.data_dir / "wal"));  // a new file's name
  {
    const std::lock_guard lock(mutex_);
    frame_.clear();
    AppendFrame(frame_, {FrameType::checkpoint, commit.size, commit.note});
    SALLYPORT_CHECK(wal_->Append(frame_, next_index_));
    durable_ = commit.size;
    ++commits_;
    submitted_.emplace_back(commit.size, pending.bytes);
    NoteLatency(std::chrono::steady_clock::now() - begun);
  }
  commit.entries = std::move(pending.entries);
  publisher_->Submit(std::exchange(commit, {}));
  return {};
}

void Ledger::Impl::NoteLatency(std::chrono::steady_clock::duration d) {
  const auto us = std::chrono::duration_cast<std::chrono::microseconds>(d).count();
  if (latencies_.size() < kLatencies) latencies_.resize(kLatencies);
  latencies_[latency_next_++ % kLatencies] = uint32_t(us);
}

Stats Ledger::Impl::GetStats() const {
  Stats s;
  std::vector<uint32_t> latencies;
  {
    const std::lock_guard lock(mutex_);
    s.size = next_index_;
    s.durable = durable_;
    s.published = published_;
    s.commits = commits_;
    s.refused = refused_;
    s.queued = next_index_ - published_;
    s.failure = failure_;
    latencies.assign(latencies_.begin(),
                     latencies_.begin() + long(std::min(latency_next_, latencies_.size())));
  }
  if (!latencies.empty()) {
    std::sort(latencies.begin(), latencies.end());
    s.commit_p50_us = latencies[latencies.size() / 2];
    s.commit_p99_us = latencies[latencies.size() * 99 / 100];
  }
  return s;
}

Result<> Ledger::Impl::Close() {
  {
    const std::lock_guard lock(mutex_);
    if (!open_ && !committer_.joinable()) return {};
    open_ = false;
    stopping_ = true;
  }
  wake_.notify_one();
  if (committer_.joinable()) committer_.join();
  const bool published = publisher_ == nullptr || publisher_->Stop();
  const std::lock_guard lock(mutex_);
  if (poisoned || !published)
    return Fail(Errc::ledger_unavailable, "the ledger has failed: " + failure_);
  Result<> finished = wal_->Finish();
  Unlock();
  return finished;
}

Result<uint64_t> Ledger::AppendStrictBlocking(std::string_view entry) {
  std::promise<Result<uint64_t>> promise;
  std::future<Result<uint64_t>> future = promise.get_future();
  impl_->AppendStrict(entry, [promise = std::move(promise)](Result<uint64_t> r) mutable {
    promise.set_value(std::move(r));
  });
  return future.get();
}

}  // namespace sallyport::ledger
