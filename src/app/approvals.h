#pragma once

#include <atomic>
#include <memory>

#include "approval/desk.h"
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
  state::Writer& state() { return *state_; }
  void Reload(const config::Root& root, std::shared_ptr<const mask::Masker> masker);

 private:
  Approvals() = default;

  std::atomic<std::shared_ptr<const mask::Masker>> masker_;
  std::unique_ptr<state::Writer> state_;
  std::unique_ptr<approval::Desk> desk_;
};

}  // namespace sallyport::app
