#include "export/exporter.h"

#include <algorithm>

#include "obs/log.h"

namespace sallyport::exporting {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

/// The cursor is synced to disk; while much is under way, not for each batch. What was confirmed
/// since is sent once more after a crash.
constexpr milliseconds kSaveEvery{500};
constexpr milliseconds kFirstPause{250};

}  // namespace

Exporter::Exporter(Options options, MakeDelivery make)
    : options_(std::move(options)),
      make_(std::move(make)),
      thread_([this](const std::stop_token& stop) { Run(stop); }) {}

Exporter::~Exporter() { Stop(milliseconds(0)); }

Status Exporter::status() const {
  std::lock_guard lock(mutex_);
  return status_;
}

void Exporter::Stop(milliseconds grace) {
  {
    std::unique_lock lock(mutex_);
    finishing_ = true;
    wake_.notify_all();
    // Where nothing moves it is no use to wait: what is left is sent after the next start.
    wake_.wait_for(lock, grace, [this] { return ended_ || !status_.trouble.empty(); });
  }
  thread_.request_stop();
  if (thread_.joinable()) thread_.join();
}

bool Exporter::Finishing() const {
  std::lock_guard lock(mutex_);
  return finishing_;
}

void Exporter::SetWaiting(std::optional<Nanos> since) {
  std::lock_guard lock(mutex_);
  status_.waiting_since = since;
}

void Exporter::Pause(const std::stop_token& stop, milliseconds time) {
  std::unique_lock lock(mutex_);
  const bool finishing = finishing_;
  (void)wake_.wait_for(lock, stop, time, [&] { return finishing_ != finishing; });
}

void Exporter::Failed(const Error& error) {
  pause_ = std::clamp(pause_ * 2, kFirstPause, options_.longest_pause);
  under_way_.clear();
  if (delivery_) next_ = delivery_->Restart(confirmed_);
  std::lock_guard lock(mutex_);
  ++status_.failures;
  if (!status_.waiting_since) status_.waiting_since = options_.clock->WallNow();
  wake_.notify_all();
  if (status_.trouble == error.detail) return;
  status_.trouble = error.detail;
  obs::Log(
      obs::Level::warn, "export.failed",
      {{"export", options_.name}, {"reason", ReasonCode(error.code)}, {"detail", error.detail}});
}

Result<> Exporter::Prepare(const std::stop_token& stop) {
  SALLYPORT_TRY(Spool spool, Spool::Open(options_.data_dir));
  spool_.emplace(std::move(spool));
  SALLYPORT_TRY(Cursor cursor,
                Cursor::Open(options_.data_dir, options_.name, *spool_, options_.from_now));
  cursor_.emplace(std::move(cursor));
  SALLYPORT_TRY(delivery_, make_(stop));
  confirmed_ = cursor_->next();
  next_ = delivery_->Restart(confirmed_);
  std::lock_guard lock(mutex_);
  status_.confirmed = confirmed_;
  return {};
}

void Exporter::Run(const std::stop_token& stop) {
  while (!stop.stop_requested()) {
    // Asked before the log is looked at: what was published before the end is to be delivered.
    const bool finishing = Finishing();
    Result<bool> worked = false;
    if (!delivery_) {
      if (const Result<> ready = Prepare(stop); !ready) worked = std::unexpected(ready.error());
    }
    if (worked) worked = Step();
    if (!worked) {
      Failed(worked.error());
      Pause(stop, pause_);
      continue;
    }
    if (*worked) continue;
    if (finishing && under_way_.empty() && next_ >= spool_->size()) break;
    Pause(stop, options_.poll);
  }
  if (cursor_ && confirmed_ > cursor_->next()) (void)cursor_->Save(confirmed_, *spool_);
  delivery_.reset();
  std::lock_guard lock(mutex_);
  ended_ = true;
  wake_.notify_all();
}

Result<bool> Exporter::Step() {
  if (next_ >= spool_->size()) SALLYPORT_CHECK(spool_->Refresh());
  bool worked = false;
  if (next_ < spool_->size() && under_way_.size() < delivery_->window()) {
    SALLYPORT_TRY(worked, SendNext());
  }
  SALLYPORT_TRY(const bool confirmed, TakeConfirmed());
  return worked || confirmed;
}

Result<Batch> Exporter::MakeBatch() {
  Batch batch;
  batch.origin = spool_->origin();
  size_t bytes = 0;
  for (uint64_t i = next_; i < spool_->size() && batch.items.size() < options_.batch_events; ++i) {
    SALLYPORT_TRY(const Event event, spool_->Read(i));
    const Facts facts(event);
    Item item{.index = i,
              .at = facts.at,
              .severity = facts.severity,
              .event = std::string(facts.event),
              .leaf = event.leaf,
              .trace = std::string(facts.trace),
              .text = Render(options_.style, event)};
    bytes += item.text.size();
    if (!batch.items.empty() && bytes > delivery_->batch_bytes()) break;
    batch.items.push_back(std::move(item));
  }
  return batch;
}

Result<bool> Exporter::SendNext() {
  SALLYPORT_TRY(const Batch batch, MakeBatch());
  const Nanos at = batch.items.front().at != 0 ? batch.items.front().at : options_.clock->WallNow();
  if (under_way_.empty()) SetWaiting(at);
  SALLYPORT_TRY(const std::vector<Refused> refused, delivery_->Send(batch));
  if (!refused.empty()) {
    SALLYPORT_CHECK(cursor_->Park(batch.origin, refused));
    obs::Log(obs::Level::error, "export.parked",
             {{"export", options_.name},
              {"entries", refused.size()},
              {"first", refused.front().index},
              {"why", refused.front().why}});
  }
  next_ = batch.end();
  under_way_.push_back({batch.end(), at});
  std::lock_guard lock(mutex_);
  status_.sent += batch.items.size() - refused.size();
  status_.parked += refused.size();
  return true;
}

Result<bool> Exporter::TakeConfirmed() {
  SALLYPORT_TRY(const uint64_t end, delivery_->Confirmed());
  bool moved = false;
  while (!under_way_.empty() && under_way_.front().end <= end) {
    confirmed_ = std::max(confirmed_, under_way_.front().end);
    under_way_.pop_front();
    moved = true;
  }
  const bool idle = under_way_.empty() && next_ >= spool_->size();
  const auto now = steady_clock::now();
  if (confirmed_ > cursor_->next() && (idle || now - saved_at_ >= kSaveEvery)) {
    SALLYPORT_CHECK(cursor_->Save(confirmed_, *spool_));
    saved_at_ = now;
  }
  if (!moved) return false;
  pause_ = milliseconds(0);
  std::lock_guard lock(mutex_);
  status_.confirmed = confirmed_;
  status_.waiting_since.reset();
  if (!under_way_.empty()) status_.waiting_since = under_way_.front().at;
  if (!status_.trouble.empty()) {
    status_.trouble.clear();
    obs::Log(obs::Level::info, "export.delivers", {{"export", options_.name}});
  }
  return true;
}

}  // namespace sallyport::exporting
