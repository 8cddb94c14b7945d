#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "app/secret_stores.h"
#include "base/result.h"
#include "config/schema.h"
#include "op/session.h"
#include "pg/credentials.h"
#include "pg/frontend.h"

namespace sallyport::app {

/// The PostgreSQL connections of a configuration, ready for pg::Frontend. Certificates are loaded
/// and passwords resolved once, now, so that what is missing stops the start; a changed password is
/// found by the next connection, a changed certificate needs a restart. Errors name the connection.
Result<std::vector<pg::FrontendConnection>> MakeDatabases(const config::Root& root,
                                                          const SecretStores& stores);

/// How the server of one connection is reached, and with which credential: for MakeDatabases, and
/// for commands that look at a server without serving.
Result<std::shared_ptr<const pg::ServerAddress>> MakeServerAddress(
    const config::Postgres& postgres);
Result<std::shared_ptr<pg::Credentials>> MakeCredentials(
    const std::string& connection, const config::Postgres& postgres,
    std::shared_ptr<const pg::ServerAddress> address, const std::string& gateway,
    const SecretStores& stores);

/// masking.columns of one connection. What the database puts in place of a value follows from the
/// detector: the digits that its render leaves, all hidden for a token (a database has no key) and
/// for a pattern, NULL for sensitive authentication data.
std::vector<pg::ClassifiedColumn> ClassifiedColumns(const config::Masking& masking,
                                                    const std::string& connection);

/// Whether what each connection hides is the same: it is settled when the gateway starts.
bool SameColumns(const config::Root& a, const config::Root& b);

pg::FrontendLimits DatabaseLimits(const config::Root& root);

/// Of each connection by its name.
using DatabaseCredentials =
    std::vector<std::pair<std::string, std::shared_ptr<pg::Credentials>>>;

/// Figures of the databases, for /metrics. Both must outlive the registry's use.
void DeclareDatabaseMetrics(const pg::Frontend& frontend, const DatabaseCredentials& credentials);

/// Who sees everybody's sessions: administrators and auditors of the gate (identity.roles).
std::function<bool(const op::Principal&)> SeesAll(const config::Root& root);

}  // namespace sallyport::app
