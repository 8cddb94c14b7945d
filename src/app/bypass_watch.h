#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "app/databases.h"
#include "app/ops.h"
#include "app/secret_stores.h"
#include "base/result.h"
#include "config/schema.h"
#include "mask/masker.h"
#include "net/shards.h"
#include "op/evidence.h"
#include "pg/credentials.h"

namespace sallyport::app {

/// Looks, for each PostgreSQL connection with `reconcile`, at who else is at its database
/// (pg/bypass.h) and records each such session once, as bypass.found: `ok` false when it is found,
/// and once more when it is gone (PCI DSS 7.2.6). A look that fails is a control that fails.
class BypassWatch {
 public:
  using Record = std::function<Result<>(op::Evidence)>;
  using Logins = DatabaseCredentials;

  /// `logins`: of the connections, by name. Errors name the connection.
  static Result<std::unique_ptr<BypassWatch>> Make(const config::Root& root,
                                                   const SecretStores& stores, const Logins& logins,
                                                   Record record,
                                                   std::shared_ptr<const mask::Masker> masker);
  /// After the shards have stopped, or before they run.
  ~BypassWatch();

  /// On the first shard, once the shards run.
  void Start(net::Shards& shards);
  void Reload(std::shared_ptr<const mask::Masker> masker);
  /// Any thread.
  std::vector<ReadyCheck> Checks() const;
  void DeclareMetrics() const;

 private:
  struct Place;
  struct State;
  explicit BypassWatch(std::shared_ptr<State> state);
  const std::shared_ptr<State> state_;
};

}  // namespace sallyport::app
