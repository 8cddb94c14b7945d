#include "app/databases.h"

#include <algorithm>
#include <cstdlib>

#include "net/tls.h"
#include "obs/metrics.h"
#include "secrets/source.h"

namespace sallyport::app {
namespace {

using SslMode = pg::ServerAddress::SslMode;

SslMode ModeOf(const std::string& word) {
  return word == "disable"     ? SslMode::disable
         : word == "require"   ? SslMode::require
         : word == "verify-ca" ? SslMode::verify_ca
                               : SslMode::verify_full;
}

/// The path of a key that OpenSSL reads itself.
Result<std::string> KeyPath(const secrets::Ref& ref) {
  if (ref.kind == secrets::Ref::Kind::file) return ref.name;
  if (const char* directory = std::getenv("CREDENTIALS_DIRECTORY");
      ref.kind == secrets::Ref::Kind::credential && directory != nullptr)
    return std::string(directory) + "/" + ref.name;
  return Fail(Errc::config_invalid, "client_key has to be a file or a credential");
}

sql::SourceMask MaskOf(const mask::DetectorSpec& detector) {
  if (detector.kind == mask::DetectorKind::sad) return sql::SourceMask::null;
  if (detector.kind == mask::DetectorKind::regex) return sql::SourceMask::full;
  switch (detector.render) {
    case mask::Render::last4:
      return sql::SourceMask::last4;
    case mask::Render::first6_last4:
      return sql::SourceMask::first6_last4;
    case mask::Render::full:
    case mask::Render::token:
      return sql::SourceMask::full;
  }
  return sql::SourceMask::null;
}

std::shared_ptr<pg::PanMap> MakePanMap(const config::Root& root, const std::string& connection) {
  const auto& detectors = root.masking.detectors;
  const auto pan = std::ranges::find(detectors, mask::DetectorKind::pan, &mask::DetectorSpec::kind);
  return std::make_shared<pg::PanMap>(pg::PanMap::Options{
      .report_at = root.masking.pan_map.report_at,
      .classify = root.masking.pan_map.classify,
      .mask = pan == detectors.end() ? sql::SourceMask::full : MaskOf(*pan),
      .file = root.server.data_dir / "state" / ("pan-map-" + connection + ".json")});
}

Result<pg::FrontendConnection> MakeDatabase(const config::Root& root,
                                            const config::Connection& connection,
                                            const SecretStores& stores) {
  const config::Postgres& postgres = *connection.postgres;
  pg::FrontendConnection made;
  made.name = connection.name;
  made.labels = connection.labels;
  SALLYPORT_TRY(made.address, MakeServerAddress(postgres));
  SALLYPORT_TRY(made.credentials, MakeCredentials(connection.name, postgres, made.address,
                                                  root.evidence.origin, stores));
  made.classified = ClassifiedColumns(root.masking, connection.name);
  made.pan_map = MakePanMap(root, connection.name);
  made.source_only = postgres.source_only;
  made.catalog_refresh = postgres.catalog_refresh;
  return made;
}

}  // namespace

Result<std::shared_ptr<const pg::ServerAddress>> MakeServerAddress(
    const config::Postgres& postgres) {
  auto address = std::make_shared<pg::ServerAddress>();
  address->host = postgres.host;
  address->port = postgres.port;
  address->database = postgres.database;
  address->sslmode = ModeOf(postgres.sslmode);
  address->connect_timeout = postgres.connect_timeout;
  if (address->sslmode != SslMode::disable) {
    net::ClientTls tls{.ca_file = postgres.ca.string(),
                       .certificate_file = postgres.client_cert.string(),
                       .key_file = {}};
    if (postgres.client_key) {
      SALLYPORT_TRY(tls.key_file, KeyPath(*postgres.client_key));
    }
    SALLYPORT_TRY(address->tls, net::MakeClientContext(tls));
  }
  return address;
}

std::vector<pg::ClassifiedColumn> ClassifiedColumns(const config::Masking& masking,
                                                    const std::string& connection) {
  std::vector<pg::ClassifiedColumn> columns;
  for (const config::ClassifiedColumn& column : masking.columns) {
    if (column.connection != connection) continue;
    const auto detector =
        std::ranges::find(masking.detectors, column.detector, &mask::DetectorSpec::name);
    columns.push_back(
        {.pattern = column.column,
         .detector = column.detector,
         .mask = detector == masking.detectors.end() ? sql::SourceMask::null : MaskOf(*detector)});
  }
  return columns;
}

bool SameColumns(const config::Root& a, const config::Root& b) {
  return a.masking.pan_map == b.masking.pan_map &&
         std::ranges::all_of(a.connections, [&](const config::Connection& connection) {
           return ClassifiedColumns(a.masking, connection.name) ==
                  ClassifiedColumns(b.masking, connection.name);
         });
}

pg::FrontendLimits DatabaseLimits(const config::Root& root) {
  const config::PostgresLimits& limits = root.server.limits.postgres;
  return {.connections = limits.connections,
          .sessions_per_caller = limits.sessions_per_caller,
          .login_deadline = limits.login_deadline,
          .session_max = root.session_max,
          .session_idle = root.session_idle,
          .statement_bytes = limits.statement_bytes,
          .message_bytes = limits.message_bytes};
}

std::function<bool(const op::Principal&)> SeesAll(const config::Root& root) {
  std::vector<std::string> who;
  for (const char* role : {"admin", "auditor"}) {
    if (const auto found = root.roles.find(role); found != root.roles.end())
      who.insert(who.end(), found->second.begin(), found->second.end());
  }
  return [who = std::move(who)](const op::Principal& principal) {
    return std::ranges::any_of(who, [&](const std::string& one) {
      if (one.starts_with("group:"))
        return std::ranges::find(principal.groups, one.substr(6)) != principal.groups.end();
      if (one.starts_with("agent:"))
        return !principal.agent.empty() && one.substr(6) == principal.agent;
      return one == "user:" + principal.name;
    });
  };
}

Result<std::vector<pg::FrontendConnection>> MakeDatabases(const config::Root& root,
                                                          const SecretStores& stores) {
  std::vector<pg::FrontendConnection> databases;
  for (const config::Connection& connection : root.connections) {
    if (!connection.postgres) continue;
    auto made = MakeDatabase(root, connection, stores);
    if (!made) {
      return Fail(made.error().code, "connection " + connection.name + ": " + made.error().detail);
    }
    databases.push_back(std::move(*made));
  }
  return databases;
}

void DeclareDatabaseMetrics(const pg::Frontend& frontend, const DatabaseCredentials& credentials) {
  obs::Registry& m = obs::Metrics();
  using pg::ConnectionFigures;
  const auto by_connection = [&](std::string_view name, std::string_view help,
                                 uint64_t ConnectionFigures::* what) {
    m.ObserveBy(name, help, "connection", [&frontend, what] {
      std::map<std::string, double> samples;
      for (const auto& [connection, figures] : frontend.totals())
        samples[connection] = double(figures.*what);
      return samples;
    });
  };
  by_connection("sallyport_postgres_sessions", "Sessions of PostgreSQL clients",
                &ConnectionFigures::sessions);
  by_connection("sallyport_postgres_statements_total", "Statements that were judged",
                &ConnectionFigures::statements);
  by_connection("sallyport_postgres_refused_total", "Statements that were refused",
                &ConnectionFigures::refused);
  by_connection("sallyport_postgres_rows_total", "Rows that were released",
                &ConnectionFigures::rows);
  by_connection("sallyport_postgres_bytes_total", "Bytes to clients, and of COPY data from them",
                &ConnectionFigures::bytes);
  by_connection("sallyport_postgres_masked_total", "Values that were masked on their way",
                &ConnectionFigures::masked);
  by_connection("sallyport_postgres_columns_found",
                "Columns that nobody classified and that hold card numbers",
                &ConnectionFigures::columns_found);
  m.ObserveBy("sallyport_postgres_roles", "Roles that exist for sessions, or are being dropped",
              "connection", [&credentials] {
                std::map<std::string, double> samples;
                for (const auto& [connection, one] : credentials)
                  samples[connection] = double(one->leases());
                return samples;
              });
}

}  // namespace sallyport::app
