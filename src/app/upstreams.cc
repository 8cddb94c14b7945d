#include "app/upstreams.h"

#include <algorithm>
#include <chrono>
#include <map>
#include <memory>

#include "app/rotating_secret.h"
#include "credential/aws.h"
#include "credential/exchange.h"
#include "credential/oauth.h"
#include "credential/snowflake.h"
#include "mcp/upstream_http.h"
#include "mcp/upstream_stdio.h"
#include "net/fetch.h"
#include "net/http_client.h"
#include "secrets/source.h"

namespace sallyport::app {
namespace {

/// A probe or an `initialize`: a client waits for it with its first call.
constexpr std::chrono::seconds kDescribeTimeout{5};

using Credential = std::function<void(net::Headers&)>;

Result<Credential> MakeCredential(const config::UpstreamAuth& auth) {
  using Kind = config::UpstreamAuth::Kind;
  const bool named = auth.kind == Kind::header, snowflake = auth.kind == Kind::snowflake_pat;
  if (!named && !snowflake && auth.kind != Kind::bearer) return Credential();
  SALLYPORT_TRY(std::shared_ptr<RotatingSecret> secret, RotatingSecret::Make(auth.secret));
  const std::string header = named ? auth.header : "Authorization";
  return Credential([secret, header, named, snowflake](net::Headers& headers) {
    headers.Add(header, (named ? "" : "Bearer ") + std::string(secret->Get().Reveal()));
    if (snowflake)
      headers.Add(std::string(credential::kSnowflakeTokenType), "PROGRAMMATIC_ACCESS_TOKEN");
  });
}

/// A reference that leads nowhere stops the start, as it does for the fixed kinds.
Result<> CheckReferences(const config::UpstreamAuth& auth) {
  using Kind = config::UpstreamAuth::Kind;
  std::vector<secrets::Ref> refs;
  if (auth.kind == Kind::oauth) refs = {auth.oauth.client_secret, auth.oauth.client_key};
  if (auth.kind == Kind::exchange)
    refs = {auth.exchange.server.client_secret, auth.exchange.server.client_key};
  if (auth.kind == Kind::user_oauth) refs = {auth.user_oauth.client_secret};
  if (auth.kind == Kind::sigv4)
    refs = {auth.sigv4.keys.secret_access_key, auth.sigv4.keys.session_token,
            auth.sigv4.keys.token};
  for (const secrets::Ref& ref : refs) {
    if (ref.empty()) continue;
    if (const auto found = secrets::Resolve(ref); !found) return std::unexpected(found.error());
  }
  return {};
}

credential::CredentialPtr MakeLiveCredential(const std::string& connection,
                                             const config::UpstreamAuth& auth,
                                             const credential::GateIssuer& issuer) {
  using Kind = config::UpstreamAuth::Kind;
  switch (auth.kind) {
    case Kind::sigv4:
      return credential::MakeSigV4(connection, auth.sigv4, issuer, net::FetchUrl, SystemClock());
    case Kind::oauth:
      return credential::MakeOAuth(connection, auth.oauth, issuer, net::FetchUrl, SystemClock());
    case Kind::exchange:
      return credential::MakeExchange(connection, auth.exchange, issuer, net::FetchUrl,
                                      SystemClock());
    case Kind::gate_jwt:
      return credential::MakeGateJwt(connection, auth.gate_jwt, issuer, SystemClock());
    case Kind::snowflake_external_oauth:
      return credential::MakeSnowflakeOAuth(connection, auth.snowflake, issuer, SystemClock());
    case Kind::user_oauth:
    case Kind::none:
    case Kind::bearer:
    case Kind::header:
    case Kind::snowflake_pat:
      break;
  }
  return nullptr;
}

Result<mcp::FrontendConnection> OverHttp(const config::Connection& connection,
                                         const config::McpHttp& http,
                                         const config::ServerLimits& limits,
                                         const credential::GateIssuer& issuer,
                                         const Accounts& accounts) {
  SALLYPORT_TRY(const net::Url url, net::ParseUrl(http.url));
  SALLYPORT_TRY(const Credential credential, MakeCredential(http.auth));
  mcp::FrontendConnection made{.config = connection, .upstream = {}, .credential = {}};
  SALLYPORT_CHECK(CheckReferences(http.auth));
  auto live = MakeLiveCredential(connection.name, http.auth, issuer);
  if (http.auth.kind == config::UpstreamAuth::Kind::user_oauth) {
    SALLYPORT_TRY(live, MakeUserOauth(connection.name, http, accounts));
  }
  made.credential = live;
  made.upstream = [url, credential, live, limits, ca = http.ca.string(), name = connection.name](
                      size_t, boost::asio::any_io_executor executor) {
    net::HttpClient::Options client;
    client.ca_file = ca;
    client.limits.head_timeout = limits.call_timeout;
    client.limits.read_timeout = limits.upstream_idle_timeout;
    mcp::HttpUpstreamOptions options;
    options.executor = executor;
    options.name = name;
    options.owned_client = net::HttpClient::Make(executor, std::move(client));
    options.url = url;
    options.credential = credential;
    options.live_credential = live;
    options.message_bytes = limits.upstream_body_bytes;
    options.call_timeout = limits.call_timeout;
    options.describe_timeout = kDescribeTimeout;
    return mcp::MakeHttpUpstream(std::move(options));
  };
  return made;
}

Result<mcp::FrontendConnection> OverStdio(const config::Connection& connection,
                                          const config::McpStdio& stdio,
                                          const config::ServerLimits& limits) {
  std::map<std::string, std::shared_ptr<RotatingSecret>> secrets;
  for (const auto& [name, ref] : stdio.env) {
    SALLYPORT_TRY(secrets[name], RotatingSecret::Make(ref));
  }
  mcp::FrontendConnection made{.config = connection, .upstream = {}, .credential = {}};
  made.upstream = [secrets, stdio, limits, name = connection.name](
                      size_t, boost::asio::any_io_executor executor) {
    mcp::StdioUpstreamOptions options;
    options.executor = executor;
    options.name = name;
    options.command = stdio.command;
    options.memory_limit = stdio.memory_limit;
    options.message_bytes = limits.upstream_body_bytes;
    options.call_timeout = limits.call_timeout;
    options.describe_timeout = std::min(options.describe_timeout, limits.call_timeout);
    options.environment = [secrets] {
      std::map<std::string, std::string> environment;
      for (const auto& [variable, secret] : secrets) environment[variable] = secret->Get().Reveal();
      return environment;
    };
    return mcp::MakeStdioUpstream(std::move(options));
  };
  return made;
}

}  // namespace

Result<mcp::FrontendConnection> MakeConnection(const config::Connection& connection,
                                               const config::ServerLimits& limits,
                                               const credential::GateIssuer& issuer,
                                               const Accounts& accounts) {
  const auto& upstream = connection.mcp->upstream;
  if (const auto* http = std::get_if<config::McpHttp>(&upstream))
    return OverHttp(connection, *http, limits, issuer, accounts);
  return OverStdio(connection, std::get<config::McpStdio>(upstream), limits);
}

bool WantsGateTokens(const config::Root& root) {
  using Kind = config::UpstreamAuth::Kind;
  return std::ranges::any_of(root.connections, [](const config::Connection& connection) {
    const auto* http =
        connection.mcp ? std::get_if<config::McpHttp>(&connection.mcp->upstream) : nullptr;
    if (http == nullptr) return false;
    const config::UpstreamAuth& auth = http->auth;
    switch (auth.kind) {
      case Kind::gate_jwt:
      case Kind::exchange:
      case Kind::snowflake_external_oauth:
        return true;
      case Kind::sigv4:
        return auth.sigv4.keys.names_caller;
      case Kind::oauth:
        return auth.oauth.signs && auth.oauth.client_key.empty();
      default:
        return false;
    }
  });
}

}  // namespace sallyport::app
