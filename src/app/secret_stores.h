#pragma once

#include <memory>

#include "config/schema.h"
#include "credential/vault.h"

namespace sallyport::app {

/// The stores of secrets that a configuration names, open for secrets::Resolve while it lives. At
/// its end the token that Vault gave is revoked, and what hangs on it with it. One at a time.
class SecretStores {
 public:
  explicit SecretStores(const config::Root& root);
  ~SecretStores();
  SecretStores(const SecretStores&) = delete;

  /// Null where none is configured.
  const std::shared_ptr<credential::VaultClient>& vault() const { return vault_; }

 private:
  std::shared_ptr<credential::VaultClient> vault_;
};

}  // namespace sallyport::app
