#include <algorithm>
#include <charconv>
#include <cstdio>
#include <future>
#include <map>

#include "app/databases.h"
#include "app/doctor_findings.h"
#include "app/exit_code.h"
#include "app/gateway.h"
#include "app/verbs.h"
#include "net/event.h"
#include "net/shards.h"
#include "pg/server.h"
#include "policy/glob.h"

namespace sallyport::app {
namespace {

constexpr int kParserMajor = 15;  // of the grammar that judges statements
constexpr auto kQueryLimit = std::chrono::seconds(10);

using Rows = std::vector<pg::Row>;

std::string Cell(const Rows& rows, size_t row, size_t column) {
  return row < rows.size() && column < rows[row].size() ? rows[row][column].value_or("") : "";
}

/// Looks at one database with the login that the gate would use.
class Examination {
 public:
  Examination(const config::Root& root, const config::Connection& connection,
              const SecretStores& stores)
      : root_(root), connection_(connection), postgres_(*connection.postgres), stores_(stores) {}

  boost::asio::awaitable<void> Run() {
    const Result<> done = co_await Look();
    if (!done) findings_.push_back(Failure(done.error()));
  }
  std::vector<Finding> findings() && { return std::move(findings_); }
  bool unreachable() const { return unreachable_; }

 private:
  using Level = Finding::Level;

  Task<> Look() {
    SALLYPORT_CO_TRY(const auto address, MakeServerAddress(postgres_));
    SALLYPORT_CO_TRY(const auto credentials, MakeCredentials(connection_.name, postgres_, address,
                                                             root_.evidence.origin, stores_));
    Add(Level::ok, "credentials", "the secrets and certificates are there");
    SALLYPORT_CO_TRY(pg::ServerLogin login, co_await credentials->Admin());
    const std::string user = login.user;
    SALLYPORT_CO_TRY(server_, co_await pg::LogIn(*address, std::move(login)));
    Add(Level::ok, "login",
        (postgres_.jit_role ? "the administrator " : "") + user + " is logged in to " +
            postgres_.database + " on " + postgres_.host);
    SALLYPORT_CO_CHECK(co_await LookAtTls());
    LookAtVersion();
    SALLYPORT_CO_CHECK(co_await LookAtPrivileges());
    SALLYPORT_CO_CHECK(co_await LookAtColumns());
    co_return co_await LookForBypass();
  }

  /// Who is there now, though nobody came through this process: running gateways are `expected`.
  Task<> LookForBypass() {
    if (postgres_.reconcile.every.count() == 0) {
      Add(Level::warning, "bypass", "nobody looks who reaches the database without the gate",
          "write reconcile: { every: 60s } and GRANT pg_monitor TO its login;");
      co_return Result<>();
    }
    SALLYPORT_CO_TRY(
        const Rows rows,
        co_await Ask("SELECT pg_catalog.pg_has_role('" + Quoted(Watcher()) +
                     "', 'pg_read_all_stats', 'USAGE'), (SELECT count(*) FROM "
                     "pg_catalog.pg_stat_activity WHERE datname = pg_catalog.current_database())"));
    if (Cell(rows, 0, 0) == "t") {
      Add(Level::ok, "bypass",
          Watcher() + " sees whose the sessions are: " + Cell(rows, 0, 1) + " now");
    } else {
      Add(Level::failure, "bypass", Watcher() + " may not see whose the sessions are",
          "GRANT pg_monitor TO " + Watcher() + ";");
    }
    co_return Result<>();
  }
  std::string Watcher() const {
    return postgres_.reconcile.user.empty() ? postgres_.user : postgres_.reconcile.user;
  }
  static std::string Quoted(std::string text) {
    for (size_t at = 0; (at = text.find('\'', at)) != text.npos; at += 2) text.insert(at, 1, '\'');
    return text;
  }

  Task<> LookAtTls() {
    SALLYPORT_CO_TRY(const Rows rows,
                     co_await Ask("SELECT ssl, version, cipher FROM pg_catalog.pg_stat_ssl "
                                  "WHERE pid = pg_catalog.pg_backend_pid()"));
    if (Cell(rows, 0, 0) == "t") {
      const bool verified = postgres_.sslmode == "verify-full";
      Add(verified ? Level::ok : Level::warning, "tls",
          Cell(rows, 0, 1) + ", " + Cell(rows, 0, 2) + ", sslmode " + postgres_.sslmode,
          verified ? "" : "write sslmode: verify-full and ca: PATH, so that the server is known");
    } else {
      Add(Level::ok, "tls", "none: the bytes stay on this machine");
    }
    co_return Result<>();
  }

  void LookAtVersion() {
    const std::string* version = server_.Parameter("server_version");
    int major = 0;
    if (version != nullptr)
      std::from_chars(version->data(), version->data() + version->size(), major);
    if (major > kParserMajor) {
      Add(Level::warning, "version",
          "PostgreSQL " + *version + "; statements are read with the grammar of " +
              std::to_string(kParserMajor),
          "what is new in " + std::to_string(major) +
              " is refused with sql-unparsable; nothing of it passes unread");
    } else {
      Add(Level::ok, "version", "PostgreSQL " + (version != nullptr ? *version : "?"));
    }
  }

  Task<> LookAtPrivileges() {
    SALLYPORT_CO_TRY(
        const Rows rows,
        co_await Ask("SELECT rolsuper, rolcreaterole, rolbypassrls, rolreplication, "
                     "pg_catalog.pg_has_role(current_user, 'pg_signal_backend', "
                     "'MEMBER') FROM pg_catalog.pg_roles WHERE rolname = current_user"));
    const bool super = Cell(rows, 0, 0) == "t";
    if (super) {
      Add(Level::warning, "privileges", "the login is a superuser: masking rests on the gate alone",
          postgres_.jit_role
              ? "make a role with CREATEROLE that owns the tables, or may grant them"
              : "make a role with only the privileges that callers need, or use jit_role");
    }
    if (postgres_.jit_role && !super && Cell(rows, 0, 1) != "t") {
      Add(Level::failure, "privileges", postgres_.user + " may not create roles",
          "ALTER ROLE " + postgres_.user + " CREATEROLE;");
    } else if (postgres_.jit_role && !super && Cell(rows, 0, 4) != "t") {
      Add(Level::warning, "privileges", postgres_.user + " may not end sessions of other roles",
          "GRANT pg_signal_backend TO " + postgres_.user + ";");
    } else if (!super) {
      Add(Level::ok, "privileges",
          postgres_.jit_role ? "it may create roles" : "it is no superuser");
    }
    if (Cell(rows, 0, 2) == "t" || Cell(rows, 0, 3) == "t") {
      Add(Level::warning, "privileges", "the login may bypass row security or replicate",
          "ALTER ROLE … NOBYPASSRLS NOREPLICATION;");
    }
    if (postgres_.jit_role) SALLYPORT_CO_CHECK(co_await LookAtGrants());
    co_return Result<>();
  }

  /// A role for a session gets what the administrator may pass on, and nothing else.
  Task<> LookAtGrants() {
    SALLYPORT_CO_TRY(
        const Rows rows,
        co_await Ask("SELECT n.nspname || '.' || c.relname FROM pg_catalog.pg_class c "
                     "JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace "
                     "WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.nspname !~ '^pg_' "
                     "AND n.nspname <> 'information_schema' AND NOT "
                     "pg_catalog.has_table_privilege(c.oid, 'SELECT WITH GRANT OPTION') "
                     "ORDER BY 1 LIMIT 5"));
    if (rows.empty()) {
      Add(Level::ok, "grants", "it may pass on SELECT on every table");
      co_return Result<>();
    }
    std::string names;
    for (size_t i = 0; i < rows.size(); ++i) names += (i == 0 ? "" : ", ") + Cell(rows, i, 0);
    Add(Level::warning, "grants", "it may not pass on SELECT on " + names,
        "GRANT SELECT ON … TO " + postgres_.user + " WITH GRANT OPTION;, if callers need it");
    co_return Result<>();
  }

  Task<> LookAtColumns() {
    SALLYPORT_CO_TRY(
        const Rows rows,
        co_await Ask("SELECT n.nspname || '.' || c.relname || '.' || a.attname "
                     "FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = "
                     "a.attrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace "
                     "WHERE a.attnum > 0 AND NOT a.attisdropped AND c.relkind IN ('r', 'p', 'v', "
                     "'m', 'f') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'"));
    Add(Level::ok, "catalog", std::to_string(rows.size()) + " columns are seen");
    const auto classified = ClassifiedColumns(root_.masking, connection_.name);
    for (const pg::ClassifiedColumn& column : classified) {
      SALLYPORT_CO_TRY(const policy::Glob glob, policy::Glob::Make(column.pattern));
      const auto found = std::ranges::count_if(
          rows, [&](const pg::Row& row) { return glob.Matches(row[0].value_or("")); });
      if (found == 0) {
        Add(Level::failure, "columns", column.pattern + " names no column of this database",
            "check masking.columns: schema.table.column, in the case of the catalog");
      } else {
        Add(Level::ok, "columns",
            column.pattern + ": " + std::to_string(found) + " by " + column.detector);
      }
    }
    if (classified.empty()) {
      Add(Level::warning, "columns", "no column is classified: only a look at the content masks",
          "name the columns with card numbers and codes under masking.columns");
    }
    co_return Result<>();
  }

  Task<Rows> Ask(std::string sql) {
    co_return co_await pg::Query(server_, std::move(sql), kQueryLimit);
  }

  void Add(Level level, std::string check, std::string says, std::string fix = {}) {
    findings_.push_back({level, std::move(check), std::move(says), std::move(fix)});
  }

  Finding Failure(const Error& error) {
    Finding finding{Level::failure, "login", error.detail, "see the server's log"};
    const std::string at = postgres_.host + ":" + std::to_string(postgres_.port);
    switch (error.code) {
      case Errc::upstream_unreachable:
      case Errc::upstream_timeout:
      case Errc::upstream_closed:
        unreachable_ = true;
        finding.check = "reach";
        finding.fix = "check upstream.host and port (" + at +
                      "), listen_addresses and pg_hba.conf there, and the certificate: sslmode " +
                      postgres_.sslmode;
        break;
      case Errc::upstream_login_failed:
        finding.fix = "check the user, its password and its line in pg_hba.conf for " +
                      postgres_.database + " from this machine";
        break;
      case Errc::upstream_protocol:
        finding.fix = "check that " + at +
                      " is PostgreSQL and offers TLS (ssl = on), or write another sslmode";
        break;
      default:
        finding.check = "configuration";
        finding.fix = "see `sallyport validate`";
    }
    return finding;
  }

  const config::Root& root_;
  const config::Connection& connection_;
  const config::Postgres& postgres_;
  const SecretStores& stores_;
  pg::Server server_;
  std::vector<Finding> findings_;
  bool unreachable_ = false;
};

/// Runs on a shard; the future is ready when it is done with the examination.
boost::asio::awaitable<void> Examine(std::shared_ptr<Examination> examination,
                                     std::shared_ptr<std::promise<void>> done) {
  co_await examination->Run();
  done->set_value();
}

}  // namespace

int RunDoctorPostgres(const DoctorOptions& options) {
  int exit_code = kOk;
  const Result<config::Root> root = LoadOrExplain(options.config, exit_code);
  if (!root) return exit_code;
  const SecretStores stores(*root);
  net::Shards shards(1);
  shards.Start();
  size_t looked_at = 0;
  for (const config::Connection& connection : root->connections) {
    if (!connection.postgres) continue;
    if (!options.connection.empty() && options.connection != connection.name) continue;
    ++looked_at;
    const auto examination = std::make_shared<Examination>(*root, connection, stores);
    const auto done = std::make_shared<std::promise<void>>();
    net::Post(shards.executor(0), [executor = shards.executor(0), examination, done] {
      net::Spawn(executor, Examine(examination, done));
    });
    done->get_future().wait();
    if (examination->unreachable()) exit_code = kUnreachable;
    for (const Finding& finding : std::move(*examination).findings()) {
      PrintFinding("connection", connection.name, finding, options.json);
      if (finding.level == Finding::Level::failure && exit_code == kOk) exit_code = kFailed;
    }
  }
  shards.Stop();
  if (looked_at == 0) {
    std::fprintf(stderr, "sallyport doctor: there is no PostgreSQL connection%s%s\n",
                 options.connection.empty() ? "" : " ", options.connection.c_str());
    return kUsage;
  }
  return exit_code;
}

}  // namespace sallyport::app
