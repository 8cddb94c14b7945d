#include "config/aws_keys.h"
#include "config/sections.h"
#include "config/upstream_snowflake.h"
#include "identity/url.h"

namespace sallyport::config {
namespace {

using std::chrono::seconds;

constexpr std::string_view kOneKind =
    "keep one of bearer, header, sigv4, oauth, exchange, gate_jwt, snowflake_pat, "
    "snowflake_external_oauth and user_oauth";

void ReadHeader(Context& context, const Node& node, const std::string& where, UpstreamAuth& auth) {
  Fields f(context, node, where);
  auth.kind = UpstreamAuth::Kind::header;
  auth.header = f.RequiredText("name", "write the header's name, such as X-Api-Key");
  f.Require("value", "write value: { env: NAME }");
  if (auto value = f.Secret("value")) auth.secret = *value;
  if (!auth.header.empty() && !IsWord(auth.header, "!#$%&'*+-.^_`|~")) {
    context.Error(f.ValueMark("name"), kCfgBadValue, where + ".name is not a header name",
                  "write X-Api-Key or the like");
  }
  f.Done();
}

void ReadSigV4(Context& context, const Node& node, const std::string& where, UpstreamAuth& auth) {
  Fields fields(context, node, where);
  auth.kind = UpstreamAuth::Kind::sigv4;
  auth.sigv4.service =
      fields.RequiredText("service", "write bedrock-agentcore, execute-api, lambda …");
  CheckWord(fields, "service", auth.sigv4.service, "-", "write bedrock-agentcore or the like");
  if (auth.sigv4.service == "s3") {
    context.Error(fields.ValueMark("service"), kCfgBadValue,
                  where + ".service: S3 signs otherwise and serves no MCP",
                  "write the service that serves MCP, such as bedrock-agentcore");
  }
  auth.sigv4.region = fields.RequiredText("region", "write eu-central-1 or the like");
  CheckWord(fields, "region", auth.sigv4.region, "-", "write eu-central-1 or the like");
  if (const Node* keys = fields.Get("credentials"))
    auth.sigv4.keys = ReadAwsKeys(context, *keys, where + ".credentials", true);
  fields.Done();
}

/// How our client proves itself: a secret, or what it signs.
void ReadProof(Fields& fields, credential::OAuth& oauth) {
  Context& context = fields.context();
  const std::string how =
      fields.Choice("client_auth", {"basic", "post", "private_key_jwt"}).value_or("basic");
  oauth.secret_in_body = how == "post";
  oauth.signs = how == "private_key_jwt";
  if (auto key = fields.Secret("client_key")) oauth.client_key = *key;
  if (auto id = fields.Text("client_key_id")) oauth.client_key_id = *id;
  if (auto audience = fields.Text("assertion_audience")) oauth.assertion_audience = *audience;
  if (!oauth.signs) {
    fields.Require("client_secret", "write client_secret: { env: NAME }");
    if (auto secret = fields.Secret("client_secret")) oauth.client_secret = *secret;
    for (const char* key : {"client_key", "client_key_id", "assertion_audience"}) {
      if (fields.Get(key) == nullptr) continue;
      context.Error(fields.MarkOf(key), kCfgConflict,
                    fields.where() + "." + key + " is for clients that sign",
                    "add client_auth: private_key_jwt");
    }
  } else if (fields.Get("client_secret") != nullptr) {
    context.Error(fields.MarkOf("client_secret"), kCfgConflict,
                  fields.where() + ": a client that signs has no secret", "remove client_secret");
  }
  if (!oauth.client_key_id.empty() && oauth.client_key.empty() && oauth.signs) {
    context.Error(fields.MarkOf("client_key_id"), kCfgConflict,
                  fields.where() + ".client_key_id is of client_key",
                  "add client_key: { file: PATH }");
  }
}

/// An authorization server and our client there; shared by the kinds that ask one.
void ReadServer(Fields& fields, credential::OAuth& oauth) {
  Context& context = fields.context();
  const std::string& where = fields.where();
  if (auto url = fields.Text("token_url")) oauth.token_url = *url;
  if (auto issuer = fields.Text("issuer")) oauth.issuer = *issuer;
  CheckUrl(fields, "token_url", oauth.token_url, false);
  CheckUrl(fields, "issuer", oauth.issuer, false);
  if (oauth.token_url.empty() == oauth.issuer.empty()) {
    context.Error(fields.MarkOf(""), oauth.issuer.empty() ? kCfgMissingKey : kCfgConflict,
                  where + " needs exactly one of token_url and issuer",
                  "keep one: token_url, or issuer where it publishes its metadata");
  }
  oauth.client_id = fields.RequiredText("client_id", "write the id of our registration there");
  ReadProof(fields, oauth);
  if (auto scope = fields.Text("scope")) oauth.scope = *scope;
  if (auto resource = fields.Text("resource")) oauth.resource = *resource;
  CheckUrl(fields, "resource", oauth.resource, true);
  oauth.reach = ReadReach(fields);
}

void ReadOAuth(Context& context, const Node& node, const std::string& where, UpstreamAuth& auth) {
  Fields fields(context, node, where);
  auth.kind = UpstreamAuth::Kind::oauth;
  ReadServer(fields, auth.oauth);
  fields.Done();
}

void ReadExchange(Context& context, const Node& node, const std::string& where,
                  UpstreamAuth& auth) {
  Fields fields(context, node, where);
  auth.kind = UpstreamAuth::Kind::exchange;
  credential::Exchange& exchange = auth.exchange;
  ReadServer(fields, exchange.server);
  if (auto audience = fields.Text("audience")) exchange.audience = *audience;
  if (auto audience = fields.Text("subject_audience")) exchange.subject_audience = *audience;
  // What the caller showed to the gate is kept nowhere.
  (void)fields.Choice("subject", {"gate_jwt"});
  if (exchange.audience.empty() && exchange.server.resource.empty()) {
    context.Error(node.mark, kCfgMissingKey,
                  where + " does not say which upstream the token is for",
                  "add audience, or resource: URL");
  }
  fields.Done();
}

void ReadGateJwt(Context& context, const Node& node, const std::string& where, UpstreamAuth& auth) {
  Fields fields(context, node, where);
  auth.kind = UpstreamAuth::Kind::gate_jwt;
  auth.gate_jwt.audience =
      fields.RequiredText("audience", "write what the upstream expects in aud");
  if (auto ttl = fields.Duration("ttl", seconds(30), seconds(3600)))
    auth.gate_jwt.ttl = std::chrono::duration_cast<seconds>(*ttl);
  fields.Done();
}

void ReadOwnAccounts(Context& context, const Node& node, const std::string& where,
                     UpstreamAuth& auth) {
  auth.kind = UpstreamAuth::Kind::user_oauth;
  auth.user_oauth = ReadUserOAuth(context, node, where);
}

/// What these kinds add must not be read on the way: there is no plain HTTP for them.
void CheckPrivate(Context& context, const Node& kind, const std::string& where,
                  const std::string& url) {
  const auto read = identity::ParseIssuerUrl(url.substr(0, url.find('?')));
  if (!read || read->https || read->loopback) return;
  context.Error(kind.mark, kCfgInsecure, where + " over plain HTTP to another machine",
                "write https:// in url");
}

}  // namespace

UpstreamAuth ReadUpstreamAuth(Context& context, const Node& node, const std::string& where,
                              const std::string& url) {
  UpstreamAuth auth;
  if (node.is(Node::Kind::scalar)) {
    if (node.text != "none") {
      context.Error(node.mark, kCfgInlineSecret, where + " must not hold a secret in plain text",
                    "write { bearer: { env: NAME } } or none");
    }
    return auth;
  }
  Fields fields(context, node, where);
  int kinds = 0;
  if (fields.Get("bearer") != nullptr) {
    ++kinds;
    if (auto bearer = fields.Secret("bearer")) {
      auth.kind = UpstreamAuth::Kind::bearer;
      auth.secret = *bearer;
    }
  }
  using Reader = void (*)(Context&, const Node&, const std::string&, UpstreamAuth&);
  struct Kind {
    std::string_view key;
    Reader reader;
    bool live;
  };
  for (const auto& [key, reader, live] :
       {Kind{"header", ReadHeader, false}, Kind{"sigv4", ReadSigV4, true},
        Kind{"oauth", ReadOAuth, true}, Kind{"exchange", ReadExchange, true},
        Kind{"gate_jwt", ReadGateJwt, true}, Kind{"snowflake_pat", ReadSnowflakePat, true},
        Kind{"snowflake_external_oauth", ReadSnowflakeOAuth, true},
        Kind{"user_oauth", ReadOwnAccounts, true}}) {
    const Node* kind = fields.Get(key);
    if (kind == nullptr) continue;
    const std::string there = where + "." + std::string(key);
    if (++kinds > 1)
      context.Error(kind->mark, kCfgConflict, where + " has more than one kind of credential",
                    std::string(kOneKind));
    reader(context, *kind, there, auth);
    if (live) CheckPrivate(context, *kind, there, url);
    if (key.starts_with("snowflake"))
      CheckSnowflakeHost(context, kind->mark, "the server's url", url);
  }
  fields.Done();
  return auth;
}

}  // namespace sallyport::config
