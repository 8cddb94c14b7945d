#include "app/databases.h"
#include "app/rotating_secret.h"
#include "app/vault_logins.h"
#include "credential/rds.h"
#include "net/fetch.h"

// How the gate proves itself to a database: MakeCredentials of databases.h.

namespace sallyport::app {
namespace {

Task<pg::ServerLogin> WithPassword(std::string user, std::shared_ptr<RotatingSecret> password) {
  co_return pg::ServerLogin{
      .user = std::move(user), .password = password->Get(), .startup = {}, .refused = {}};
}

Task<pg::ServerLogin> WithToken(std::string user, std::shared_ptr<credential::RdsPasswords> rds) {
  SALLYPORT_CO_TRY(credential::RdsPasswords::Password made, co_await rds->Make());
  co_return pg::ServerLogin{.user = std::move(user),
                            .password = std::move(made.token),
                            .startup = {},
                            .refused = [rds, key = made.key] { rds->Refused(key); }};
}

Result<> CheckKeys(const credential::AwsKeys& keys) {
  for (const secrets::Ref& ref : {keys.secret_access_key, keys.session_token, keys.token}) {
    if (ref.empty()) continue;
    if (const auto found = secrets::Resolve(ref); !found) return std::unexpected(found.error());
  }
  return {};
}

Result<pg::LoginSource> MakeLogin(const std::string& connection, const config::Postgres& postgres) {
  const std::string& user = postgres.user;
  if (postgres.rds_iam) {
    SALLYPORT_CHECK(CheckKeys(postgres.rds_iam->keys));
    auto rds = std::make_shared<credential::RdsPasswords>(
        credential::RdsPasswords::Database{
            .connection = connection, .host = postgres.host, .user = user, .port = postgres.port},
        *postgres.rds_iam, net::FetchUrl, SystemClock());
    return [user, rds] { return WithToken(user, rds); };
  }
  if (!postgres.password) return pg::FixedLogin(user, Secret());
  SALLYPORT_TRY(auto password, RotatingSecret::Make(*postgres.password));
  return [user, password] { return WithPassword(user, password); };
}

}  // namespace

Result<std::shared_ptr<pg::Credentials>> MakeCredentials(
    const std::string& connection, const config::Postgres& postgres,
    std::shared_ptr<const pg::ServerAddress> address, const std::string& gateway,
    const SecretStores& stores) {
  if (postgres.vault_database) {
    return MakeVaultCredentials(credential::VaultDatabaseLogins::Make(
        connection, *postgres.vault_database, stores.vault()));
  }
  SALLYPORT_TRY(pg::LoginSource login, MakeLogin(connection, postgres));
  if (!postgres.jit_role) return pg::MakeSharedCredentials(std::move(login));
  pg::JitRoleOptions options;
  options.admin = std::move(login);
  options.ttl = std::chrono::duration_cast<std::chrono::seconds>(postgres.jit_ttl);
  options.gateway = gateway;
  return pg::MakeJitRoleCredentials(std::move(address), std::move(options));
}

}  // namespace sallyport::app
