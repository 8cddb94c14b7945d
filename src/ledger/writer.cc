#include "ledger/writer.h"

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/statvfs.h>
#include <system_error>
#include <unistd.h>

#include "base/bytes.h"
#include "ledger/file.h"
#include "ledger/reader.h"
#include "ledger/tile.h"
#include "ledger/wal.h"
#include "ledger/writer_impl.h"

namespace sallyport::ledger {

namespace {

/// Preallocated files may take an eighth of a small disk (there are three), and are never too small
/// to be useful.
size_t FittingSegment(const std::filesystem::path& dir, size_t wanted) {
  struct statvfs fs{};
  if (::statvfs(dir.c_str(), &fs) != 0) return wanted;
  const size_t share = size_t(fs.f_bavail) * fs.f_frsize / 24;
  return std::min(wanted, std::max<size_t>(share, 256 << 10));
}

/// The log's directory is itself an entry of one, which may be as new; also where a start that died
/// has made it.
Result<> SyncAbove(const std::filesystem::path& dir) {
  std::error_code error;
  std::filesystem::path path = std::filesystem::absolute(dir, error).lexically_normal();
  if (!path.has_filename()) path = path.parent_path();
  SALLYPORT_CHECK(SyncPath(path.parent_path()));
  for (path = path.parent_path(); path.has_relative_path(); path = path.parent_path()) {
    if (!SyncPath(path.parent_path())) break;  // not ours to look at, so not made by us either
  }
  return {};
}

/// What witnesses have seen must be there: going on without it would be another log under the same
/// key.
Result<> ContinuesCosigned(const std::filesystem::path& data_dir, const NoteVerifier& verifier,
                           uint64_t size) {
  const LogDirectory files(data_dir / "log");
  const Result<std::string> note = files.Read("checkpoint.cosigned");
  if (!note && note.error().code == Errc::not_found) return {};
  if (!note) return std::unexpected(note.error());
  const std::string file = (data_dir / "log" / "checkpoint.cosigned").string();
  const auto head = verifier.OpenCheckpoint(*note);
  if (!head) return Fail(Errc::ledger_unavailable, file + ": " + head.error().detail);
  const auto other = [&](const std::string& what) {
    return Fail(Errc::ledger_unavailable,
                file + ": witnesses have seen " + std::to_string(head->size) + " entries, " + what +
                    ". The log was rolled back, perhaps by restoring a backup. Bring back the "
                    "newest copy, or begin a new log under another origin");
  };
  if (head->size > size) return other("but there are " + std::to_string(size));
  const Result<std::string> published = files.Read("checkpoint");
  if (!published) return {};
  const auto now = PeekCheckpoint(*published);
  if (!now || now->size < head->size) return {};  // a power cut: the write-ahead log knows more
  const auto root = RootAt(head->size, TileSubtrees(files, now->size));
  if (root && *root != head->root) return other("and they are not the ones that are here");
  return {};
}

}  // namespace

Ledger::Impl::Impl(Options o, NoteSigner s) : options(std::move(o)), signer(std::move(s)) {}

Ledger::Impl::~Impl() {
  (void)Close();
  Unlock();
}

void Ledger::Impl::Unlock() {
  if (lock_fd_ >= 0) ::close(lock_fd_);
  lock_fd_ = -1;
}

Result<> Ledger::Impl::LockDirectory() {
  SALLYPORT_CHECK(MakeDirectories(options.data_dir));
  const std::filesystem::path path = options.data_dir / "lock";
  lock_fd_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (lock_fd_ < 0) return std::unexpected(SystemError("open", path));
  if (::flock(lock_fd_, LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return std::unexpected(SystemError("lock", path));
    return Fail(Errc::ledger_unavailable, "another process is writing the log in " +
                                              options.data_dir.string() + " (it holds " +
                                              path.string() + ")");
  }
  return {};
}

Result<> Ledger::Impl::WriteVkey() {
  const std::filesystem::path path = options.data_dir / "log" / "vkey";
  const std::string line = signer.vkey() + '\n';
  const Result<std::string> old = ReadFile(path);
  if (!old && old.error().code != Errc::not_found) return std::unexpected(old.error());
  if (!old) return ReplaceFile(path, line);
  if (*old != line) {
    return Fail(
        Errc::ledger_unavailable,
        "the log in " + options.data_dir.string() +
            " was begun with another origin or key: log/vkey is not the key of this configuration");
  }
  return {};
}

Result<> Ledger::Impl::Open() {
  SALLYPORT_CHECK(LockDirectory());
  SALLYPORT_CHECK(MakeDirectories(options.data_dir / "log"));
  SALLYPORT_CHECK(MakeDirectories(options.data_dir / "wal"));
  SALLYPORT_CHECK(WriteVkey());
  SALLYPORT_TRY(const NoteVerifier verifier, NoteVerifier::Make(signer.vkey()));
  SALLYPORT_TRY(Recovered recovered, Recover(options.data_dir, verifier));
  SALLYPORT_CHECK(ContinuesCosigned(options.data_dir, verifier, recovered.tree.size()));
  segment_bytes_ = FittingSegment(options.data_dir, options.segment_bytes);
  return Restart(std::move(recovered));
}

/// Brings all recovered entries into tiles, moves the unfilled bundle's entries into a new segment,
/// starts the threads. The old segments stay until the publisher has synced the tiles: after a long
/// outage that takes long, and nobody has to wait for it. Each step leaves a state that Recover
/// accepts.
Result<> Ledger::Impl::Restart(Recovered recovered) {
  recovery = recovered.report;
  tree_ = recovered.tree;
  next_index_ = durable_ = published_ = tree_.size();
  const std::filesystem::path log_dir = options.data_dir / "log",
                              wal_dir = options.data_dir / "wal";

  // What a killed process left is in the kernel's memory only, and is about to be published.
  for (const auto& path : recovered.segments) SALLYPORT_CHECK(SyncPath(path));
  if (recovered.reserve_used) {  // one segment more
    SALLYPORT_CHECK(SyncPath(wal_dir / kReserveName));
    recovered.segments.push_back(SegmentPath(wal_dir, recovered.next_segment++));
    SALLYPORT_CHECK(RenameFile(wal_dir / kReserveName, recovered.segments.back()));
  }
  SALLYPORT_CHECK(SyncPath(wal_dir));

  TileWriter tiles(log_dir, recovered.base, std::move(recovered.partials));
  tiles.set_keep_equal(true);
  SALLYPORT_CHECK(tiles.AddEntries(recovered.entries));
  for (const TileHash& hash : recovered.hashes) SALLYPORT_CHECK(tiles.AddHash(hash));
  SALLYPORT_CHECK(tiles.RepairPartials());
  SALLYPORT_TRY(const std::string note,
                signer.Sign(CheckpointText({signer.name(), tree_.size(), tree_.Root()})));
  SALLYPORT_CHECK(tiles.Publish(note, true));
  tiles.set_keep_equal(false);
  SALLYPORT_CHECK(SyncPath(log_dir));
  SALLYPORT_CHECK(SyncPath(options.data_dir));
  SALLYPORT_CHECK(SyncAbove(options.data_dir));

  SALLYPORT_TRY(std::shared_ptr<Segment> first, FirstSegment(recovered, note));
  SALLYPORT_CHECK(RemoveFile(wal_dir / kReserveName));
  SALLYPORT_CHECK(RemoveFile(wal_dir / kRetiredName));
  SALLYPORT_TRY(reserve_, Segment::Create(wal_dir / kReserveName, kReserveBytes, 0));
  wal_.emplace(wal_dir, segment_bytes_, std::move(first));
  std::vector<WalWriter::Closed> old;  // the oldest first: what stays has no gap
  for (auto& path : recovered.segments)
    old.push_back({std::move(path), tree_.size() / kTileWidth * kTileWidth});
  StartThreads(std::move(tiles), std::move(old));
  return {};
}

void Ledger::Impl::StartThreads(TileWriter tiles, std::vector<WalWriter::Closed> old) {
  Publisher::Hooks hooks;
  hooks.published = [this](uint64_t size) {
    const std::lock_guard lock(mutex_);
    published_ = size;
    while (!submitted_.empty() && submitted_.front().first <= size) {
      queued_bytes_ -= submitted_.front().second;
      submitted_.erase(submitted_.begin());
    }
  };
  hooks.failed = [this](const std::string& reason) { Poison(reason); };
  hooks.wanted_spare = [this] {
    const std::lock_guard lock(mutex_);
    return wal_->WantedSpare();
  };
  hooks.put_spare = [this](std::shared_ptr<Segment> spare) {
    const std::lock_guard lock(mutex_);
    return wal_->PutSpare(std::move(spare));
  };
  open_ = true;
  // Between two publications the publisher waits half the interval, the committer waits the other
  // half; it does not wait where callers wait for it.
  const auto spacing = options.durability == Durability::strict ? std::chrono::milliseconds(0)
                                                                : options.checkpoint_interval / 2;
  publisher_ = std::make_unique<Publisher>(std::move(tiles), tree_.size(), std::move(old), spacing,
                                           segment_bytes_, std::move(hooks));
  committer_ = std::thread([this] { RunCommitter(); });
}

/// A new file that begins with the entries of the unfilled bundle: what it holds is all that the
/// tiles do not yet hold in an immutable file.
Result<std::shared_ptr<Segment>> Ledger::Impl::FirstSegment(const Recovered& recovered,
                                                            std::string_view note) {
  const uint64_t size = tree_.size(), begin = size / kTileWidth * kTileWidth;
  std::string frames;
  uint64_t index = recovered.base;
  for (std::string_view rest = recovered.entries; !rest.empty(); ++index) {
    const size_t length = LoadBe16(reinterpret_cast<const uint8_t*>(rest.data()));
    if (index >= begin) AppendFrame(frames, {FrameType::leaf, index, rest.substr(2, length)});
    rest.remove_prefix(2 + length);
  }
  AppendFrame(frames, {FrameType::checkpoint, size, note});
  SALLYPORT_TRY(std::shared_ptr<Segment> segment,
                Segment::Create(SegmentPath(options.data_dir / "wal", recovered.next_segment),
                                std::max(segment_bytes_, frames.size() + 4096), begin));
  SALLYPORT_CHECK(segment->Append(frames));
  SALLYPORT_CHECK(segment->Sync());
  return segment;
}

Ledger::Ledger(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}
Ledger::~Ledger() { (void)impl_->Close(); }

Result<std::unique_ptr<Ledger>> Ledger::Open(Options options) {
  if (options.segment_bytes < 2 * (kMaxEntryBytes + kFrameHeaderBytes)) {
    return Fail(Errc::config_invalid,
                "the write-ahead log's segments must hold at least two entries");
  }
  SALLYPORT_TRY(NoteSigner signer, NoteSigner::Make(options.origin, options.signing_key));
  options.signing_key = Secret();
  auto impl = std::make_shared<Impl>(std::move(options), std::move(signer));
  SALLYPORT_CHECK(impl->Open());
  return std::unique_ptr<Ledger>(new Ledger(std::move(impl)));
}

Result<uint64_t> Ledger::Append(std::string_view entry) { return impl_->Append(entry); }
void Ledger::Cosigned(const Checkpoint& head, std::string note) {
  impl_->Cosigned(head.size, std::move(note));
}

bool Ledger::healthy() const { return !impl_->poisoned.load(std::memory_order_relaxed); }
bool Ledger::pressed() const { return impl_->pressed.load(std::memory_order_relaxed); }
Stats Ledger::stats() const { return impl_->GetStats(); }
const Recovery& Ledger::recovery() const { return impl_->recovery; }
Result<> Ledger::Close() { return impl_->Close(); }
std::string Ledger::vkey() const { return impl_->signer.vkey(); }
PayloadStore* Ledger::payloads() const { return impl_->options.payloads; }
const std::string& Ledger::origin() const { return impl_->signer.name(); }

}  // namespace sallyport::ledger
