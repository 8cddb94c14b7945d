#include "app/recordings.h"

#include "app/recording_orders.h"
#include "ledger/file.h"
#include "obs/log.h"
#include "obs/metrics.h"

namespace sallyport::app {

Result<std::vector<recording::Key>> KeksOf(const std::vector<secrets::Ref>& refs) {
  std::vector<recording::Key> keks;
  for (const secrets::Ref& ref : refs) {
    SALLYPORT_TRY(const Secret text, secrets::Resolve(ref));
    auto key = recording::Key::Read(text);
    if (!key) {
      return Fail(Errc::config_invalid,
                  "evidence.encrypt, " + secrets::Describe(ref) + ": " + key.error().detail);
    }
    keks.push_back(std::move(*key));
  }
  return keks;
}

Result<std::unique_ptr<Recordings>> Recordings::Open(const config::Root& root) {
  std::unique_ptr<Recordings> made(new Recordings);
  SALLYPORT_TRY(made->config_, config::RecordingsOf(root));
  made->bytes_ = made->inline_bytes_ = size_t(root.evidence.payload_bytes);
  if (made->config_.keks.empty()) return made;
  made->bytes_ = size_t(made->config_.limits.max_bytes);
  recording::Store::Options options{.dir = root.server.data_dir / "recordings",
                                    .origin = root.evidence.origin};
  SALLYPORT_TRY(options.keks, KeksOf(made->config_.keks));
  options.on_key = [self = made.get()](const std::string& day, const std::string& kek_id) {
    op::Evidence evidence;
    evidence.type = op::EventType::key_created;
    evidence.resource = day;
    evidence.detail = "of the day's recordings; wrapped by " + kek_id;
    return self->Record(std::move(evidence));
  };
  const std::filesystem::path hint = options.dir / kKekPath;
  SALLYPORT_TRY(made->store_, recording::Store::Open(std::move(options)));
  // For commands of who may read that file: where it is, not what is in it.
  const secrets::Ref& kek = made->config_.keks.front();
  if (kek.kind == secrets::Ref::Kind::file) {
    std::error_code error;
    (void)ledger::ReplaceFile(hint, std::filesystem::absolute(kek.name, error).string());
  }
  return made;
}

Result<> Recordings::Keep(op::Evidence& evidence, const op::Session& session) {
  const auto keep = [&](op::Payload& payload) -> Result<> {
    SALLYPORT_TRY(payload.blob, store_->Put(session.id, payload.text, payload.json));
    payload.text = {};
    return {};
  };
  if (evidence.request && evidence.request->text.get().size() > inline_bytes_)
    SALLYPORT_CHECK(keep(*evidence.request));
  if (evidence.result && !evidence.result->text.empty()) SALLYPORT_CHECK(keep(*evidence.result));
  return {};
}

Result<> Recordings::Record(op::Evidence evidence) const {
  if (gate_ == nullptr) return Fail(Errc::recording_unavailable, "the log is not open yet");
  return gate_->Record(std::move(evidence));
}

void Recordings::Start(gate::Gate& gate) {
  gate_ = &gate;
  if (!store_) return;
  obs::Registry& m = obs::Metrics();
  m.Observe("sallyport_recordings_total", "Messages and results sealed since the start",
            [this] { return double(store_->stats().recordings); });
  m.Observe("sallyport_recording_bytes_total", "Bytes of them",
            [this] { return double(store_->stats().bytes); });
  m.Observe("sallyport_recording_unavailable",
            "1 when recordings cannot be written and service has stopped",
            [this] { return store_->healthy() ? 0.0 : 1.0; });
}

Result<> Recordings::StartKeeping(ledger::Ledger& ledger,
                                  std::shared_ptr<const mask::Masker> masker) {
  if (!store_) return {};
  auto keeper = std::make_shared<RecordingKeeper>(*store_, config_.limits, ledger);
  SALLYPORT_CHECK(keeper->Rewrap());
  keeping_ = std::jthread([this, keeper, masker = std::move(masker)](std::stop_token stop) {
    while (!stop.stop_requested()) {
      try {
        keeper->Tick(*masker);
      } catch (const std::exception& e) {
        obs::Log(obs::Level::error, "recordings.keeping", {{"detail", e.what()}});
      }
      std::unique_lock lock(mutex_);
      wake_.wait_for(lock, stop, std::chrono::milliseconds(250), [] { return false; });
    }
  });
  return {};
}

void Recordings::Stop() { keeping_ = {}; }

void Recordings::AddChecks(std::vector<ReadyCheck>& checks) const {
  if (store_) checks.push_back({"recordings", store_->healthy(), failure()});
}

Result<> Recordings::CheckSame(const config::Root& fresh) const {
  SALLYPORT_TRY(const auto changed, config::RecordingsOf(fresh));
  if (changed == config_) return {};
  return Fail(Errc::config_invalid, "recording and evidence.encrypt change at a restart only");
}

}  // namespace sallyport::app
