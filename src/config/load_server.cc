#include <algorithm>

#include "config/sections.h"
#include "config/units.h"

namespace sallyport::config {
namespace {

using std::chrono::milliseconds;

std::string ReadListen(Fields& fields, std::string_view key, bool loopback_only,
                       std::string_view why) {
  auto text = fields.Text(key);
  if (!text) return {};
  auto listen = ParseListen(*text);
  if (!listen) {
    fields.context().Error(
        fields.ValueMark(key), kCfgBadValue,
        fields.where() + "." + std::string(key) + " is not an address to listen on",
        "write IP:PORT, such as \"127.0.0.1:8443\" or \"[::1]:8443\"");
    return {};
  }
  if (loopback_only && !listen->loopback) {
    fields.context().Error(
        fields.ValueMark(key), kCfgInsecure,
        fields.where() + "." + std::string(key) + " listens beyond loopback " + std::string(why),
        "listen on 127.0.0.1, or use https");
  }
  return *text;
}

void ReadTls(Context& context, const Node& node, Server& server) {
  Fields fields(context, node, "server.tls");
  Tls tls;
  fields.Require("cert", "write the path of the certificate chain (PEM)");
  if (auto cert = fields.Path("cert")) tls.cert = *cert;
  fields.Require("key", "write key: { file: PATH }");
  if (auto key = fields.Secret("key")) tls.key = *key;
  if (auto version = fields.Choice("min_version", {"1.2", "1.3"})) tls.min_version = *version;
  if (auto authorities = fields.Path("client_ca")) tls.client_ca = *authorities;
  if (auto authorities = fields.Path("postgres_client_ca")) tls.postgres_client_ca = *authorities;
  fields.Done();
  server.tls = tls;
}

template <class T>
void Set(T& target, std::optional<uint64_t> value) {
  if (value) target = static_cast<T>(*value);
}
void Set(uint32_t& target, std::optional<milliseconds> value) {
  if (value) target = static_cast<uint32_t>(value->count());
}
void Set(milliseconds& target, std::optional<milliseconds> value) {
  if (value) target = *value;
}

void ReadPostgresLimits(Context& context, const Node& node, PostgresLimits& limits) {
  using namespace std::chrono_literals;
  Fields f(context, node, "server.limits.postgres");
  Set(limits.connections, f.Count("connections", 1, 1'000'000));
  Set(limits.sessions_per_caller, f.Count("sessions_per_caller", 1, 1'000'000));
  Set(limits.login_deadline, f.Duration("login_deadline", 100ms, 10min));
  Set(limits.statement_bytes, f.Size("statement_bytes", 1 << 10, 64 << 20));
  Set(limits.message_bytes, f.Size("message_bytes", 64 << 10, 1 << 30));
  if (limits.message_bytes < limits.statement_bytes) {
    context.Error(f.ValueMark("message_bytes"), kCfgConflict,
                  f.where() + ".message_bytes is smaller than statement_bytes",
                  "a statement travels in one message: write at least as much");
  }
  f.Done();
}

void ReadLimits(Context& context, const Node& node, ServerLimits& limits) {
  using namespace std::chrono_literals;
  Fields f(context, node, "server.limits");
  net::HttpLimits& http = limits.http;
  Set(http.header_bytes, f.Size("header_bytes", 1 << 10, 1 << 20));
  Set(http.body_bytes, f.Size("body_bytes", 1 << 10, 1 << 30));
  Set(http.header_timeout_ms, f.Duration("header_timeout", 100ms, 1h));
  Set(http.body_timeout_ms, f.Duration("body_timeout", 100ms, 1h));
  Set(http.idle_timeout_ms, f.Duration("idle_timeout", 100ms, 24h));
  Set(http.write_timeout_ms, f.Duration("write_timeout", 100ms, 1h));
  Set(http.connections, f.Count("connections", 1, 1'000'000));
  Set(http.connections_per_address, f.Count("connections_per_address", 0, 1'000'000));
  Set(limits.json_depth, f.Count("json_depth", 8, 512));
  Set(limits.streams_per_caller, f.Count("streams_per_caller", 1, 100'000));
  Set(limits.sessions_per_caller, f.Count("sessions_per_caller", 1, 100'000));
  Set(limits.calls_per_caller, f.Count("calls_per_caller", 1, 100'000));
  Set(limits.approvals_per_caller, f.Count("approvals_per_caller", 1, 100'000));
  Set(limits.approvals_per_hour, f.Count("approvals_per_hour", 1, 1'000'000));
  Set(limits.upstream_body_bytes, f.Size("upstream_body_bytes", 1 << 10, 1 << 30));
  Set(limits.call_timeout, f.Duration("call_timeout", 100ms, 24h));
  Set(limits.approval_hold, f.Duration("approval_hold", 100ms, 1h));
  Set(limits.upstream_idle_timeout, f.Duration("upstream_idle_timeout", 100ms, 24h));
  Set(limits.session_idle, f.Duration("session_idle", 1s, 30 * 24h));
  Set(limits.replay_events, f.Count("replay_events", 0, 100'000));
  if (const Node* postgres = f.Get("postgres"))
    ReadPostgresLimits(context, *postgres, limits.postgres);
  f.Done();
}

void CheckPublicUrl(Fields& fields, const std::string& text) {
  if (text.empty()) return;
  auto url = ParseUrl(text);
  Mark mark = fields.ValueMark("public_url");
  if (!url) {
    fields.context().Error(mark, kCfgBadValue, "server.public_url is not a URL",
                           "write the origin that clients use, such as https://gate.example.com");
    return;
  }
  if (!url->rest.empty()) {
    fields.context().Error(mark, kCfgBadValue, "server.public_url has a path",
                           "write the origin only: scheme, host and port, no slash at the end");
  }
  if (!url->https && !url->loopback) {
    fields.context().Error(mark, kCfgInsecure, "server.public_url must be https beyond loopback",
                           "write https://: tokens travel there");
  }
}

void CheckListeners(Fields& fields, const Server& server) {
  Context& context = fields.context();
  Mark mark = fields.MarkOf("listen");
  const Node* listen = fields.Get("listen");
  bool none = std::ranges::none_of(listen->members, [](const Node::Member& m) {
    return m.key == "https" || m.key == "http" || m.key == "postgres";
  });
  if (none) {
    context.Error(mark, kCfgMissingKey,
                  "server.listen has none of https, http and postgres, so nobody can come in",
                  "add https: \"0.0.0.0:8443\"");
  }
  if (!server.https.empty() && !server.tls) {
    context.Error(mark, kCfgMissingKey, "server.listen.https needs server.tls",
                  "add tls: { cert: PATH, key: { file: PATH } }");
  }
  if (auto postgres = ParseListen(server.postgres);
      postgres && !postgres->loopback && !server.tls) {
    context.Error(mark, kCfgInsecure,
                  "server.listen.postgres listens beyond loopback without TLS, and callers send "
                  "tokens there",
                  "add tls: { cert: PATH, key: { file: PATH } }, or listen on 127.0.0.1");
  }
  std::vector<std::string> all{server.https, server.http, server.postgres, server.ops};
  std::erase_if(all, [](const std::string& s) { return s.empty() || s.ends_with(":0"); });
  std::ranges::sort(all);
  if (auto twice = std::ranges::adjacent_find(all); twice != all.end()) {
    context.Error(mark, kCfgConflict, "two listeners share the address " + *twice,
                  "give each its own port");
  }
}

}  // namespace

void ReadServer(Context& context, const Node& node, Root& root) {
  using namespace std::chrono_literals;
  Fields fields(context, node, "server");
  Server& server = root.server;
  server.public_url = fields.RequiredText("public_url", "write the origin that clients use");
  CheckPublicUrl(fields, server.public_url);
  if (const Node* listen = fields.Require("listen", "add listen: { https: \"0.0.0.0:8443\" }")) {
    Fields f(context, *listen, "server.listen");
    server.https = ReadListen(f, "https", false, "");
    server.http = ReadListen(f, "http", true, "without TLS");
    server.postgres = ReadListen(f, "postgres", false, "");
    server.ops = ReadListen(f, "ops", false, "");
    f.Done();
  }
  if (const Node* tls = fields.Get("tls")) ReadTls(context, *tls, server);
  if (fields.Require("data_dir", "write the directory for the log and the state") != nullptr) {
    server.data_dir = fields.Path("data_dir").value_or("");
  }
  server.allowed_origins = fields.Texts("allowed_origins");
  server.allowed_hosts = fields.Texts("allowed_hosts");
  for (const auto& origin : server.allowed_origins) {
    auto url = ParseUrl(origin);
    const bool one = url && url->rest.empty() && origin.find('*') == origin.npos;
    if (!one) {
      context.Error(fields.ValueMark("allowed_origins"), kCfgBadValue,
                    "\"" + origin + "\" in server.allowed_origins is not an origin",
                    "write scheme://host[:port], each origin by itself");
    } else if (!url->https && !url->loopback) {
      context.Error(fields.ValueMark("allowed_origins"), kCfgInsecure,
                    "server.allowed_origins: whoever sits between can change pages of " + origin +
                        ", which may use people's tokens",
                    "write https://…; http is for loopback");
    }
  }
  if (const Node* limits = fields.Get("limits")) ReadLimits(context, *limits, server.limits);
  Set(server.shards, fields.Count("shards", 0, 256));
  Set(server.drain_timeout, fields.Duration("drain_timeout", 0ms, 1h));
  fields.Done();
  if (node.is(Node::Kind::map) && fields.Get("listen") != nullptr) CheckListeners(fields, server);
}

}  // namespace sallyport::config
