#include "config/aws_keys.h"
#include "config/sections.h"
#include "credential/auth_challenge.h"

namespace sallyport::config {
namespace {

using Auth = credential::UserOAuth::ClientAuth;

/// Exactly one of the three ways to name who gives the tokens.
void CheckWhere(Fields& fields, const credential::UserOAuth& oauth) {
  Context& context = fields.context();
  const bool urls = !oauth.authorize_url.empty() || !oauth.token_url.empty();
  const std::string& where = fields.where();
  if (urls && (oauth.authorize_url.empty() || oauth.token_url.empty())) {
    context.Error(fields.MarkOf(oauth.token_url.empty() ? "authorize_url" : "token_url"),
                  kCfgMissingKey, where + " needs both authorize_url and token_url",
                  "add the other one, or keep issuer alone");
  }
  if (oauth.discover && (urls || !oauth.issuer.empty())) {
    context.Error(fields.MarkOf("discover"), kCfgConflict,
                  where + ": with discover the upstream says who gives its tokens",
                  "write issuers: [URL] to allow only that one");
  }
  if (!oauth.discover && !urls && oauth.issuer.empty()) {
    context.Error(fields.MarkOf(""), kCfgMissingKey, where + " does not say who gives the tokens",
                  "add issuer, or authorize_url and token_url, or discover: true");
  }
  if (!oauth.discover && !oauth.issuers.empty()) {
    context.Error(fields.MarkOf("issuers"), kCfgConflict, where + ".issuers is of discover",
                  "write issuer: URL");
  }
}

void CheckClient(Fields& fields, const credential::UserOAuth& oauth) {
  Context& context = fields.context();
  const std::string& where = fields.where();
  const bool secret = !oauth.client_secret.empty();
  if (!oauth.discover && oauth.client_id.empty())
    fields.Require("client_id", "write the id of our registration there");
  if (oauth.discover && secret && oauth.issuers.empty()) {
    context.Error(fields.MarkOf("client_secret"), kCfgInsecure,
                  where + ": the upstream could name any server, which would get this secret",
                  "add issuers: [URL] with the server that it is for");
  }
  if (secret && oauth.client_id.empty()) {
    context.Error(fields.MarkOf("client_secret"), kCfgMissingKey,
                  where + ".client_secret has no client_id", "add client_id");
  }
  const bool proves = oauth.client_auth == Auth::basic || oauth.client_auth == Auth::post;
  if ((proves && !secret) || (oauth.client_auth == Auth::none && secret)) {
    context.Error(fields.ValueMark("client_auth"), kCfgConflict,
                  where +
                      ".client_auth does not fit: none is without client_secret, the others "
                      "are with it",
                  "leave client_auth out");
  }
}

}  // namespace

credential::UserOAuth ReadUserOAuth(Context& context, const Node& node, const std::string& where) {
  Fields fields(context, node, where);
  credential::UserOAuth oauth;
  const auto url = [&](const char* key, std::string& into) {
    if (auto text = fields.Text(key)) into = *text;
    CheckUrl(fields, key, into, false);
  };
  url("issuer", oauth.issuer);
  url("authorize_url", oauth.authorize_url);
  url("token_url", oauth.token_url);
  oauth.discover = fields.Bool("discover").value_or(false);
  oauth.issuers = fields.Texts("issuers");
  for (const std::string& issuer : oauth.issuers) CheckUrl(fields, "issuers", issuer, false);
  if (auto id = fields.Text("client_id")) oauth.client_id = *id;
  if (auto secret = fields.Secret("client_secret")) oauth.client_secret = *secret;
  const std::string method =
      fields.Choice("client_auth", {"none", "basic", "post"}).value_or(std::string());
  oauth.client_auth = method == "none"    ? Auth::none
                      : method == "basic" ? Auth::basic
                      : method == "post"  ? Auth::post
                                          : Auth::unsaid;
  if (auto scope = fields.Text("scope")) oauth.scope = *scope;
  if (!credential::IsScope(oauth.scope)) {
    context.Error(fields.ValueMark("scope"), kCfgBadValue, where + ".scope is no list of scopes",
                  "write scopes with single spaces between them");
  }
  if (auto resource = fields.Text("resource")) oauth.resource = *resource;
  if (oauth.resource != "none") CheckUrl(fields, "resource", oauth.resource, true);
  CheckWhere(fields, oauth);
  CheckClient(fields, oauth);
  oauth.reach = ReadReach(fields);
  fields.Done();
  return oauth;
}

}  // namespace sallyport::config
