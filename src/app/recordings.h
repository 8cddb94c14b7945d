#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "app/ops.h"
#include "base/result.h"
#include "config/load_recording.h"
#include "gate/gate.h"
#include "ledger/writer.h"
#include "mask/masker.h"
#include "recording/store.h"

namespace sallyport::app {

/// Below `recordings`: the path of the file with the key encryption key, where it is a file.
inline constexpr const char* kKekPath = "kek.path";

/// The keys of `evidence.encrypt`, the one that wraps first. config_invalid names the reference.
Result<std::vector<recording::Key>> KeksOf(const std::vector<secrets::Ref>& refs);

/// The store of recordings of the running gateway, where `evidence.encrypt` is configured: opened
/// before the ledger, whose commits wait for it, and recording its keys there. Results are kept in
/// it, and requests that are longer than an entry's payload may be.
class Recordings final : public ledger::PayloadStore {
 public:
  static Result<std::unique_ptr<Recordings>> Open(const config::Root& root);

  /// For ledger::Options; null where nothing is kept outside.
  ledger::PayloadStore* payloads() { return store_ ? this : nullptr; }
  /// Recorded of one message or result.
  size_t bytes() const { return bytes_; }

  /// From here on keys can be made, each with its entry.
  void Start(gate::Gate& gate);
  /// Wraps keys anew that another key encryption key wrapped, then starts the thread that takes up
  /// orders and destroys what is too old. `ledger` until Stop.
  Result<> StartKeeping(ledger::Ledger& ledger, std::shared_ptr<const mask::Masker> masker);
  void Stop();
  /// Adds what has to hold for service.
  void AddChecks(std::vector<ReadyCheck>& checks) const;
  /// config_invalid: `fresh` changes what changes at a restart only.
  Result<> CheckSame(const config::Root& fresh) const;

  Result<> Keep(op::Evidence& evidence, const op::Session& session) override;
  Result<> Sync() override { return store_->Sync(); }
  void Forget(const op::Session& session) override { store_->Forget(session.id); }
  std::string failure() const override {
    return store_->healthy() ? std::string() : store_->failure();
  }

 private:
  Recordings() = default;
  Result<> Record(op::Evidence evidence) const;

  config::Recordings config_;
  std::unique_ptr<recording::Store> store_;
  size_t bytes_ = 0, inline_bytes_ = 0;
  gate::Gate* gate_ = nullptr;
  std::mutex mutex_;
  std::condition_variable_any wake_;
  std::jthread keeping_;
};

}  // namespace sallyport::app
