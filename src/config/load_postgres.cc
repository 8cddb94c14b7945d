#include <algorithm>

#include "base/network.h"
#include "config/aws_keys.h"
#include "config/sections.h"
#include "config/units.h"

namespace sallyport::config {
namespace {

bool IsSocketDirectory(const std::string& host) { return host.starts_with('/'); }

bool IsHere(const std::string& host) {
  if (IsSocketDirectory(host)) return true;
  auto url = ParseUrl("http://" + (host.contains(':') ? "[" + host + "]" : host));
  return url && url->loopback;
}

void CheckHost(Fields& fields, const std::string& host) {
  if (host.empty() || IsSocketDirectory(host)) return;
  const bool six = std::ranges::count(host, ':') > 1;
  auto url = ParseUrl("http://" + (six ? "[" + host + "]" : host));
  if (url && url->rest.empty() && (six || !host.contains(':'))) return;
  fields.context().Error(
      fields.ValueMark("host"), kCfgBadValue, fields.where() + ".host is not the name of a host",
      "write a name, an address, or a directory of Unix sockets; the port has its own key");
}

/// What is not encrypted or not verified is allowed where the bytes stay on this machine.
void CheckSslMode(Fields& fields, const Postgres& postgres) {
  Context& context = fields.context();
  const Mark mark = fields.ValueMark("sslmode");
  if (postgres.sslmode == "disable") {
    if (postgres.host.empty() || IsHere(postgres.host)) return;
    context.Error(mark, kCfgInsecure,
                  fields.where() + ": the database is reached in plain text over the network",
                  "write sslmode: verify-full (PCI DSS 4.2.1)");
  } else if (IsSocketDirectory(postgres.host)) {
    context.Error(mark, kCfgConflict, fields.where() + ": there is no TLS on a Unix socket",
                  "remove sslmode, or write sslmode: disable");
  } else if (postgres.sslmode == "require" && !IsHere(postgres.host)) {
    context.Warn(mark, kCfgInsecure,
                 fields.where() + ": sslmode require does not verify who the server is",
                 "write sslmode: verify-full and ca: PATH");
  }
}

void CheckClientCertificate(Fields& fields, const Postgres& postgres) {
  Context& context = fields.context();
  const bool cert = !postgres.client_cert.empty();
  if (cert != postgres.client_key.has_value()) {
    context.Error(fields.MarkOf(cert ? "client_cert" : "client_key"), kCfgMissingKey,
                  fields.where() + " needs client_cert and client_key together",
                  cert ? "add client_key: { file: PATH }" : "add client_cert: PATH");
  } else if (cert && postgres.sslmode == "disable") {
    context.Error(fields.MarkOf("client_cert"), kCfgConflict,
                  fields.where() + ": a client certificate is shown in TLS only",
                  "write sslmode: verify-full, or remove client_cert and client_key");
  }
}

void ReadUpstream(Context& context, const Node& node, const std::string& where,
                  Postgres& postgres) {
  using namespace std::chrono_literals;
  Fields fields(context, node, where);
  postgres.host = fields.RequiredText("host", "write the database server's name");
  CheckHost(fields, postgres.host);
  if (auto port = fields.Count("port", 1, 65535)) postgres.port = static_cast<uint16_t>(*port);
  postgres.database = fields.RequiredText("database", "write the database's name there");
  if (IsSocketDirectory(postgres.host)) postgres.sslmode = "disable";
  if (auto mode = fields.Choice("sslmode", {"disable", "require", "verify-ca", "verify-full"}))
    postgres.sslmode = *mode;
  if (auto ca = fields.Path("ca")) postgres.ca = *ca;
  if (auto cert = fields.Path("client_cert")) postgres.client_cert = *cert;
  postgres.client_key = fields.Secret("client_key");
  if (auto limit = fields.Duration("connect_timeout", 100ms, 2min))
    postgres.connect_timeout = *limit;
  CheckSslMode(fields, postgres);
  CheckClientCertificate(fields, postgres);
  fields.Done();
}

/// The token is shown in clear text inside TLS to whoever the server is.
void CheckRdsTls(Fields& fields, Mark mark, const Postgres& postgres) {
  if (postgres.sslmode == "verify-full" || postgres.sslmode == "verify-ca") return;
  fields.context().Error(mark, kCfgInsecure,
                         fields.where() + ": an RDS token is sent to a verified server only",
                         "write sslmode: verify-full and ca: PATH in upstream");
}

/// A password may be missing where something else proves who we are: a client certificate, or the
/// socket's peer.
std::optional<secrets::Ref> ReadPassword(Fields& fields, std::string_view key,
                                         const Postgres& postgres) {
  const bool other = !postgres.client_cert.empty() || IsSocketDirectory(postgres.host);
  if (!other) fields.Require(key, "write " + std::string(key) + ": { file: PATH }");
  return fields.Secret(key);
}

credential::VaultDatabase ReadVaultDatabase(Context& context, const Node& node,
                                            const std::string& where) {
  Fields fields(context, node, where);
  credential::VaultDatabase made;
  made.role = fields.RequiredText("role", "write the role of Vault's database engine");
  CheckWord(fields, "role", made.role, "-_.", "write the role of Vault's database engine");
  if (const auto mount = fields.Text("mount")) made.mount = *mount;
  CheckWord(fields, "mount", made.mount, "-_./", "write the engine's path, such as database");
  fields.Done();
  context.remote.push_back({node.mark, where, secrets::Ref::Kind::vault});
  return made;
}

void ReadCredentials(Context& context, const Node& node, const std::string& where,
                     Postgres& postgres) {
  using namespace std::chrono_literals;
  Fields fields(context, node, where);
  const Node* role = fields.Get("jit_role");
  const Node* rds = fields.Get("rds_iam");
  const Node* vault = fields.Get("vault_database");
  const Node* password = fields.Get("password");
  const bool fixed = fields.Get("user") != nullptr || password != nullptr;
  const int kinds = int(fixed) + int(role != nullptr) + int(rds != nullptr) + int(vault != nullptr);
  if (kinds != 1) {
    context.Error(node.mark, kinds > 1 ? kCfgConflict : kCfgMissingKey,
                  where + " needs one of user and password, rds_iam, vault_database and jit_role",
                  "keep one");
  } else if (vault != nullptr) {
    postgres.vault_database = ReadVaultDatabase(context, *vault, where + ".vault_database");
  } else if (rds != nullptr) {
    Fields f(context, *rds, where + ".rds_iam");
    postgres.user = f.RequiredText("user", "write the database user that has rds_iam");
    postgres.rds_iam = ReadRdsIam(f);
    CheckRdsTls(f, rds->mark, postgres);
    f.Done();
  } else if (fixed) {
    postgres.user = fields.RequiredText("user", "write the upstream's user name");
    postgres.password = ReadPassword(fields, "password", postgres);
  } else {
    Fields f(context, *role, where + ".jit_role");
    postgres.jit_role = true;
    postgres.user = f.RequiredText("admin_user", "write the role that may create roles");
    if (const Node* iam = f.Get("rds_iam")) {
      Fields g(context, *iam, f.where() + ".rds_iam");
      postgres.rds_iam = ReadRdsIam(g);
      CheckRdsTls(g, iam->mark, postgres);
      g.Done();
      if (f.Get("admin_password") != nullptr)
        context.Error(f.MarkOf("admin_password"), kCfgConflict,
                      f.where() + " has a password and rds_iam", "keep one");
    } else {
      postgres.password = ReadPassword(f, "admin_password", postgres);
    }
    if (auto ttl = f.Duration("ttl", 1min, 24h)) postgres.jit_ttl = *ttl;
    f.Choice("grants_from", {"policy"});
    f.Done();
  }
  fields.Done();
}

Reconcile ReadReconcile(Context& context, const Node& node, const std::string& where,
                        const Postgres& postgres) {
  using namespace std::chrono_literals;
  Fields fields(context, node, where);
  Reconcile made;
  made.every = fields.Duration("every", 1s, 24h).value_or(60s);
  if (const Node* login = fields.Get("login")) {
    Fields f(context, *login, where + ".login");
    made.user = f.RequiredText("user", "write a role that is a member of pg_monitor");
    made.password = ReadPassword(f, "password", postgres);
    f.Done();
  } else if (postgres.vault_database) {
    context.Error(node.mark, kCfgMissingKey,
                  where + " needs a login of its own: those of Vault are for sessions",
                  "add login: { user: …, password: { file: … } }");
  }
  made.expected = fields.Texts("expected");
  for (const std::string& one : made.expected) {
    if (IpNetwork::Parse(one)) continue;
    context.Error(fields.ValueMark("expected"), kCfgBadValue,
                  where + ".expected: \"" + one + "\" is no address",
                  "write addresses or networks: [ 10.0.0.5, 10.1.0.0/16 ]");
  }
  fields.Done();
  return made;
}

}  // namespace

Postgres ReadPostgres(Context& context, const Node& node, const std::string& where) {
  using namespace std::chrono_literals;
  Fields fields(context, node, where);
  Postgres postgres;
  if (const Node* upstream =
          fields.Require("upstream", "write upstream: { host: …, port: 5432, database: … }")) {
    ReadUpstream(context, *upstream, where + ".upstream", postgres);
  }
  if (const Node* credentials =
          fields.Require("credentials", "write credentials: { user: …, password: { file: … } }")) {
    ReadCredentials(context, *credentials, where + ".credentials", postgres);
  }
  if (auto masking = fields.Choice("masking", {"lineage", "source"}))
    postgres.source_only = *masking == "source";
  if (auto refresh = fields.Duration("catalog_refresh", 1s, 24h))
    postgres.catalog_refresh = *refresh;
  if (const Node* reconcile = fields.Get("reconcile"))
    postgres.reconcile = ReadReconcile(context, *reconcile, where + ".reconcile", postgres);
  fields.Done();
  return postgres;
}

}  // namespace sallyport::config
