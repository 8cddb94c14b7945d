#pragma once

#include <memory>

#include "credential/vault_database.h"
#include "pg/credentials.h"

namespace sallyport::app {

/// For each session a login that Vault makes, which ends with the session; one for the gate's own
/// connections, kept while it lasts.
std::shared_ptr<pg::Credentials> MakeVaultCredentials(
    std::shared_ptr<credential::VaultDatabaseLogins> logins);

}  // namespace sallyport::app
