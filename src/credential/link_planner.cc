#include "credential/link_planner.h"

#include <algorithm>

#include "json/document.h"

namespace sallyport::credential {
namespace {

using Auth = UserOAuth::ClientAuth;

constexpr std::chrono::seconds kProbeWithin{3};
constexpr Nanos kSecond = 1'000'000'000;
constexpr Nanos kConfiguredFor = 600 * kSecond, kDiscoveredFor = 30 * kSecond;

std::unexpected<Error> Failed(std::string detail) {
  return Fail(Errc::upstream_credential_failed, std::move(detail));
}

bool Holds(const std::vector<std::string>& list, std::string_view what) {
  return std::ranges::find(list, what) != list.end();
}

bool IsDocument(std::string_view client_id) {
  return client_id.starts_with("https://") || client_id.starts_with("http://");
}

}  // namespace

void LinkPlanner::Forget() {
  if (!options_.config.discover) return;
  const std::lock_guard lock(mutex_);
  known_.reset();
}

Result<LinkPlan> LinkPlanner::Plan(std::stop_token stop) {
  const Nanos now = options_.clock.WallNow();
  {
    const std::lock_guard lock(mutex_);
    if (known_ && now < known_until_) return *known_;
  }
  SALLYPORT_TRY(LinkPlan plan, Make(std::move(stop)));
  const std::lock_guard lock(mutex_);
  known_ = plan;
  known_until_ = now + (options_.config.discover ? kDiscoveredFor : kConfiguredFor);
  return plan;
}

Result<LinkPlan> LinkPlanner::Make(std::stop_token stop) {
  const UserOAuth& config = options_.config;
  LinkPlan plan{.server = {}, .scope = config.scope, .resource = config.resource};
  if (!config.token_url.empty()) {
    plan.server.issuer = config.issuer;
    plan.server.authorize_url = config.authorize_url;
    plan.server.token_url = config.token_url;
  } else if (!config.discover) {
    SALLYPORT_TRY(plan.server, AskIssuer(config.issuer, stop));
  } else {
    SALLYPORT_TRY(Said said, AskUpstream(stop));
    SALLYPORT_TRY(const std::string issuer, Choose(said.metadata));
    SALLYPORT_TRY(plan.server, AskIssuer(issuer, stop));
    if (!Holds(plan.server.pkce, "S256"))
      return Failed("the authorization server does not say that it checks PKCE with S256");
    if (plan.resource.empty()) plan.resource = said.metadata.resource;
    if (plan.scope.empty()) {
      plan.scope = said.scope;
      for (const std::string& scope : said.metadata.scopes) {
        if (said.scope.empty()) plan.scope = JoinScopes(plan.scope, scope);
      }
      if (Holds(plan.server.scopes, "offline_access"))
        plan.scope = JoinScopes(plan.scope, "offline_access");
    }
  }
  if (!plan.server.pkce.empty() && !Holds(plan.server.pkce, "S256"))
    return Failed("the authorization server does not know PKCE with S256");
  if (!IsSafeUrl(plan.server.authorize_url, config.reach.allow_loopback_http))
    return Failed("the authorization endpoint is not https");
  if (plan.resource.empty())
    plan.resource = options_.upstream.substr(0, options_.upstream.find('?'));
  if (plan.resource == "none") plan.resource.clear();
  return plan;
}

/// What the upstream says to a request without a token.
BearerChallenge LinkPlanner::Probe(std::stop_token stop) const {
  FetchRequest request = RequestTo(options_.config.reach, options_.upstream, std::move(stop));
  request.method = "POST";
  request.timeout = kProbeWithin;
  request.headers = {{"content-type", "application/json"},
                     {"accept", "application/json, text/event-stream"},
                     {"mcp-protocol-version", "2025-11-25"}};
  request.body = R"({"jsonrpc":"2.0","id":1,"method":"tools/list","params":{}})";
  const auto answer = options_.fetch(request);
  if (!answer || answer->status != 401) return {};
  for (const auto& [name, value] : answer->headers) {
    if (name != "www-authenticate") continue;
    if (auto challenge = ReadBearerChallenge(value)) return *challenge;
  }
  return {};
}

Result<LinkPlanner::Said> LinkPlanner::AskUpstream(std::stop_token stop) const {
  const BearerChallenge challenge = Probe(stop);
  std::vector<std::string> places = ResourceMetadataUrls(options_.upstream);
  if (!challenge.resource_metadata.empty()) {
    if (!IsSafeUrl(challenge.resource_metadata, true) ||
        OriginOfUrl(challenge.resource_metadata) != OriginOfUrl(options_.upstream))
      return Failed("the upstream names resource metadata on another origin than its own");
    places = {challenge.resource_metadata};
  }
  for (const std::string& place : places) {
    const auto answer = options_.fetch(RequestTo(options_.config.reach, place, stop));
    if (!answer) return Failed("resource metadata: " + answer.error().detail);
    if (answer->status != 200) continue;
    auto metadata = ReadResourceMetadata(answer->body, options_.upstream);
    if (!metadata) return Failed(metadata.error().detail);
    return Said{std::move(*metadata), challenge.scope};
  }
  return Failed("the upstream does not say who gives tokens for it");
}

Result<std::string> LinkPlanner::Choose(const ResourceMetadata& metadata) const {
  const auto& issuers = options_.config.issuers;
  for (const std::string& issuer : metadata.authorization_servers) {
    if (!issuers.empty() && !Holds(issuers, issuer)) continue;
    if (!IsSafeUrl(issuer, options_.config.reach.allow_loopback_http) || issuer.contains('?'))
      return Failed("the upstream names an authorization server that is not https");
    return issuer;
  }
  return Failed("the upstream names no authorization server that issuers allows");
}

Result<AuthServer> LinkPlanner::AskIssuer(const std::string& issuer, std::stop_token stop) const {
  std::string why = "the authorization server publishes no metadata";
  for (const std::string& place : AuthServerUrls(issuer)) {
    const auto answer = options_.fetch(RequestTo(options_.config.reach, place, stop));
    if (!answer) return Failed("metadata of the authorization server: " + answer.error().detail);
    if (answer->status != 200) continue;
    auto server = ReadAuthServer(answer->body, issuer);
    if (server) return server;
    why = server.error().detail;
  }
  return Failed(std::move(why));
}

Auth LinkPlanner::AuthFor(const AuthServer& server, bool secret) const {
  if (options_.config.client_auth != Auth::unsaid) return options_.config.client_auth;
  if (!secret) return Auth::none;
  if (server.auth_methods.empty() || Holds(server.auth_methods, "client_secret_basic"))
    return Auth::basic;
  if (Holds(server.auth_methods, "client_secret_post")) return Auth::post;
  return Holds(server.auth_methods, "none") ? Auth::none : Auth::basic;
}

Result<UserClient> LinkPlanner::WithSecret(UserClient client) const {
  if (client.auth == Auth::none || !client.secret.empty()) return client;
  auto secret = secrets::Resolve(options_.config.client_secret);
  if (!secret) return Failed(secret.error().detail);
  client.secret = std::move(*secret);
  return client;
}

Result<UserClient> LinkPlanner::ClientAt(const AuthServer& server, std::stop_token stop) {
  const UserOAuth& config = options_.config;
  const bool document = config.discover && IsDocument(config.client_id);
  if (!config.client_id.empty() && !document) {
    return UserClient{.id = config.client_id,
                      .secret = {},
                      .auth = AuthFor(server, !config.client_secret.empty())};
  }
  const std::string& own = document ? config.client_id : options_.document_url;
  if (server.takes_documents && !own.empty())
    return UserClient{.id = own, .secret = {}, .auth = Auth::none};
  SALLYPORT_TRY(auto registered, options_.links->Registered(server.issuer, options_.redirect_uri));
  if (registered) return std::move(*registered);
  if (server.registration_url.empty())
    return Failed("the authorization server registers no clients by itself: configure client_id");
  SALLYPORT_TRY(UserClient made, Register(server, std::move(stop)));
  SALLYPORT_CHECK(options_.links->Register(server.issuer, options_.redirect_uri, made));
  return made;
}

Result<UserClient> LinkPlanner::Register(const AuthServer& server, std::stop_token stop) const {
  const auto& methods = server.auth_methods;
  const std::string_view method = methods.empty() || Holds(methods, "none") ? "none"
                                  : Holds(methods, "client_secret_basic")   ? "client_secret_basic"
                                                                            : "client_secret_post";
  const bool web = options_.redirect_uri.starts_with("https://");
  FetchRequest request = RequestTo(options_.config.reach, server.registration_url, std::move(stop));
  request.method = "POST";
  request.headers.emplace_back("content-type", "application/json");
  request.body =
      R"({"client_name":"sallyport","redirect_uris":[)" + json::Quote(options_.redirect_uri) +
      R"(],"grant_types":["authorization_code","refresh_token"],"response_types":["code"])"
      R"(,"application_type":")" +
      (web ? "web" : "native") + R"(","token_endpoint_auth_method":")" + std::string(method) +
      "\"}";
  const auto answer = options_.fetch(request);
  if (!answer) return Failed("registration: " + answer.error().detail);
  if (answer->status != 200 && answer->status != 201)
    return Failed("the authorization server refused our registration: HTTP " +
                  std::to_string(answer->status));
  const auto doc = json::Document::Parse(answer->body);
  const auto text = [&](const char* name) {
    const auto found = doc ? doc->root()[name].string() : std::nullopt;
    const bool plain = found && found->size() <= 2048 &&
                       std::ranges::all_of(*found, [](char c) { return c >= ' ' && c < 0x7f; });
    return plain ? std::string(*found) : std::string();
  };
  UserClient client{.id = text("client_id"), .secret = Secret(text("client_secret")), .auth = {}};
  if (client.id.empty()) return Failed("the registration gave no client_id");
  const std::string said = text("token_endpoint_auth_method");
  client.auth = said == "client_secret_basic"  ? Auth::basic
                : said == "client_secret_post" ? Auth::post
                : said == "none"               ? Auth::none
                                               : AuthFor(server, !client.secret.empty());
  if (client.secret.empty()) client.auth = Auth::none;
  return client;
}

}  // namespace sallyport::credential
