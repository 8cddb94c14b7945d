#pragma once

#include <atomic>
#include <memory>

#include "access/uses.h"
#include "approval/desk.h"
#include "approval/passkeys.h"
#include "approval/webhooks.h"
#include "base/result.h"
#include "config/schema.h"
#include "ledger/writer.h"
#include "mask/masker.h"
#include "state/writer.h"

namespace sallyport::app {

/// The embedded state and what lives in it, built from the configuration.
class Approvals {
 public:
  /// Opens `<data_dir>/state/state.db`. A state that cannot be opened is no failure: then what
  /// needs it is refused (state_unavailable) and everything else goes on. `ledger` must outlive it.
  static Result<std::unique_ptr<Approvals>> Open(const config::Root& root, ledger::Ledger& ledger,
                                                 std::shared_ptr<const mask::Masker> masker);

  approval::Desk& desk() { return *desk_; }
  approval::Passkeys& passkeys() { return *passkeys_; }
  state::Writer& state() { return *state_; }
  access::Uses& uses() { return *uses_; }
  /// Begins to tell webhooks, of what has been waiting since before a restart too: at least once.
  Result<> StartWebhooks(const config::Root& root);
  Result<> Reload(const config::Root& root, std::shared_ptr<const mask::Masker> masker);

 private:
  Approvals() = default;
  Result<std::shared_ptr<approval::Webhooks>> MakeWebhooks(const config::Root& root);

  std::atomic<std::shared_ptr<const mask::Masker>> masker_;
  std::unique_ptr<state::Writer> state_;
  std::unique_ptr<access::Uses> uses_;
  std::unique_ptr<approval::Desk> desk_;
  std::unique_ptr<approval::Passkeys> passkeys_;
  std::vector<config::Approval> told_;  // what the webhooks were made of
  // Behind the desk, which they ask: they end first.
  std::atomic<std::shared_ptr<approval::Webhooks>> webhooks_;
};

}  // namespace sallyport::app
