#pragma once

#include <atomic>
#include <memory>
#include <thread>
#include <vector>

#include "app/bypass_watch.h"
#include "app/integrity.h"
#include "app/ops.h"
#include "gate/gate.h"
#include "review/desk.h"

namespace sallyport::app {

/// What the gateway looks at by itself, beside its traffic: who else is at its databases, whether
/// its files are those it was started with, and what happened the day before. What is found goes
/// into the log. Of the one main thread, but for Checks(); reads files on a thread of its own.
class Rounds {
 public:
  /// `gate` must outlive it.
  static Result<std::unique_ptr<Rounds>> Make(const config::Root& root, const SecretStores& stores,
                                              const BypassWatch::Logins& logins, gate::Gate& gate,
                                              std::shared_ptr<const mask::Masker> masker);
  /// Once the shards run.
  void Start(net::Shards& shards);
  /// Before the last entry of the log; a review that is being made is given up.
  void Stop();
  void Reload(const config::Root& root, std::shared_ptr<const mask::Masker> masker);
  std::vector<ReadyCheck> Checks() const;
  const std::shared_ptr<review::Desk>& reviews() const { return reviews_; }

 private:
  Rounds(const config::Root& root, gate::Gate& gate, std::shared_ptr<const mask::Masker> masker);
  void Work(const std::stop_token& stop);
  void MakeReviews(const std::stop_token& stop);
  void TakeRequests(const std::stop_token& stop);
  void MakeReview(const std::string& date, const std::string& how);

  gate::Gate& gate_;
  const std::filesystem::path data_dir_;
  std::atomic<std::shared_ptr<const mask::Masker>> masker_;
  std::unique_ptr<BypassWatch> bypass_;
  Integrity integrity_;
  std::shared_ptr<review::Desk> reviews_;
  mutable std::mutex mutex_;
  std::string review_trouble_;  // under it
  std::jthread worker_;
};

}  // namespace sallyport::app
