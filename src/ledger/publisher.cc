#include "ledger/publisher.h"

#include <algorithm>
#include <pthread.h>
#include <system_error>
#include <utility>

#include "ledger/file.h"

namespace sallyport::ledger {

namespace {

/// So many files of the write-ahead log may wait for the disk before publishing waits for them.
constexpr size_t kMostClosed = 8;

void FailWaiters(Commit& commit) {
  for (Waiter& waiter : commit.waiters) {
    waiter.done(::sallyport::Fail(Errc::ledger_unavailable, "the ledger has failed"));
  }
}

}  // namespace

Publisher::Publisher(TileWriter tiles, uint64_t published, std::vector<WalWriter::Closed> old,
                     std::chrono::milliseconds spacing, size_t segment_bytes, Hooks hooks)
    : tiles_(std::move(tiles)),
      spacing_(spacing),
      segment_bytes_(segment_bytes),
      hooks_(std::move(hooks)),
      closed_(std::move(old)),
      published_(published),
      thread_([this] { Run(); }) {}

Publisher::~Publisher() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = abandoned_ = true;
  }
  wake_.notify_one();
  if (thread_.joinable()) thread_.join();
}

void Publisher::Submit(Commit commit) {
  {
    const std::lock_guard lock(mutex_);
    if (!failed_) {
      queue_.push_back(std::move(commit));
      wake_.notify_one();
      return;
    }
  }
  FailWaiters(commit);
}

void Publisher::Cosigned(uint64_t size, std::string note) {
  {
    const std::lock_guard lock(mutex_);
    cosigned_.emplace(size, std::move(note));
  }
  wake_.notify_one();
}

bool Publisher::Stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_one();
  if (thread_.joinable()) thread_.join();
  const std::lock_guard lock(mutex_);
  return !failed_;
}

void Publisher::Run() {
  ::pthread_setname_np(::pthread_self(), "ledger-publish");
  auto next_time = std::chrono::steady_clock::now();
  Result<> result = MakeSpare();
  if (result) result = Retire();
  while (result) {
    std::vector<Commit> commits;
    std::optional<std::pair<uint64_t, std::string>> cosigned;
    bool stop;
    {
      std::unique_lock lock(mutex_);
      wake_.wait(lock, [this] { return stopping_ || !queue_.empty() || cosigned_; });
      wake_.wait_until(lock, next_time, [this] { return stopping_; });
      if (abandoned_) return;
      commits.swap(queue_);
      cosigned.swap(cosigned_);
      stop = stopping_;
    }
    next_time = std::chrono::steady_clock::now() + spacing_;
    if (!commits.empty()) result = Work(commits);
    if (result && cosigned && cosigned->first == published_)
      result = tiles_.Publish(cosigned->second);
    if (!result) return Fail(result.error().detail, std::move(commits));
    if (result && stop) {
      result = Retired();
      if (result) result = tiles_.SyncAll();
      if (result) result = Retire();
      if (result) result = Retired();
      if (retired_) {
        (void)RemoveFile(retired_->path());  // a start deletes it
      }
      if (result) return;
    }
  }
  Fail(result.error().detail, {});
}

void Publisher::Fail(const std::string& reason, std::vector<Commit> commits) {
  std::vector<Commit> rest;
  {
    const std::lock_guard lock(mutex_);
    failed_ = true;
    rest.swap(queue_);
  }
  hooks_.failed(reason);
  for (Commit& commit : commits) FailWaiters(commit);
  for (Commit& commit : rest) FailWaiters(commit);
}

Result<> Publisher::Work(std::vector<Commit>& commits) {
  for (Commit& commit : commits) {
    for (const std::string& piece : commit.entries) SALLYPORT_CHECK(tiles_.AddEntries(piece));
    for (const TileHash& hash : commit.hashes) SALLYPORT_CHECK(tiles_.AddHash(hash));
    for (auto& closed : commit.closed) closed_.push_back(std::move(closed));
  }
  SALLYPORT_CHECK(tiles_.Publish(commits.back().note));
  published_ = commits.back().size;
  hooks_.published(published_);
  for (Commit& commit : commits) {
    for (Waiter& waiter : commit.waiters) waiter.done(waiter.index);
    commit.waiters.clear();
  }
  SALLYPORT_CHECK(MakeSpare());
  return Retire();
}

/// Begins to retire what can be; has little to do itself unless retiring is far behind.
Result<> Publisher::Retire() {
  const bool behind = closed_.size() >= kMostClosed;
  if (retiring_.valid()) {
    if (!behind && retiring_.wait_for(std::chrono::seconds(0)) != std::future_status::ready)
      return {};
    SALLYPORT_CHECK(Retired());
  }
  const uint64_t full = published_ / kTileWidth * kTileWidth;
  const auto end = std::ranges::find_if(closed_, [&](const auto& c) { return c.end > full; });
  if (end == closed_.begin()) return {};
  std::vector<WalWriter::Closed> closed(closed_.begin(), end);
  closed_.erase(closed_.begin(), end);
  retiring_ =
      std::async(std::launch::async, [unsynced = tiles_.TakeUnsynced(), closed = std::move(closed),
                                      reusable_bytes = retired_ ? 0 : segment_bytes_] {
        return RetireNow(unsynced, closed, reusable_bytes);
      });
  return {};
}

/// Waits for the retirement that runs.
Result<> Publisher::Retired() {
  if (!retiring_.valid()) return {};
  Retirement done = retiring_.get();
  if (done.reusable) retired_ = std::move(done.reusable);
  return done.result;
}

/// Deletes the segments, but one that has `reusable_bytes` is kept to become the next spare one.
/// That leaves its name first: with a name that recovery reads, a file has to be whole.
Publisher::Retirement Publisher::RetireNow(const TileWriter::Unsynced& unsynced,
                                           const std::vector<WalWriter::Closed>& closed,
                                           size_t reusable_bytes) {
  ::pthread_setname_np(::pthread_self(), "ledger-retire");
  Retirement out;
  const auto discard = [&](const std::filesystem::path& path) -> Result<> {
    const std::filesystem::path directory = path.parent_path();
    std::error_code error;
    if (!out.reusable && reusable_bytes > 0 &&
        std::filesystem::file_size(path, error) == reusable_bytes) {
      const std::filesystem::path retired = directory / kRetiredName;
      SALLYPORT_CHECK(RenameFile(path, retired));
      SALLYPORT_CHECK(SyncPath(directory));
      SALLYPORT_TRY(out.reusable, Segment::Recycle(retired, reusable_bytes));
      return {};
    }
    SALLYPORT_CHECK(RemoveFile(path));
    return SyncPath(directory);
  };
  out.result = unsynced.Sync();
  for (const WalWriter::Closed& c : closed) {
    if (out.result) out.result = discard(c.path);
  }
  return out;
}

Result<> Publisher::MakeSpare() {
  const std::filesystem::path path = hooks_.wanted_spare();
  if (path.empty()) return {};
  std::shared_ptr<Segment> spare = std::exchange(retired_, nullptr);
  if (spare) {
    SALLYPORT_CHECK(spare->Prepare(path, 0));
  } else {
    SALLYPORT_TRY(spare, Segment::Create(path, segment_bytes_, 0));
  }
  if (hooks_.put_spare(std::move(spare))) return {};
  (void)RemoveFile(path);  // an empty segment is skipped by recovery
  return {};
}

}  // namespace sallyport::ledger
