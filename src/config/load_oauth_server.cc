#include <algorithm>

#include "config/sections.h"
#include "config/units.h"
#include "oauth/redirect_uri.h"

namespace sallyport::config {
namespace {

void ReadClient(Context& context, const Node& node, oauth::Config& server) {
  Fields fields(context, node,
                "identity.oauth_server.clients[" + std::to_string(server.clients.size()) + "]");
  oauth::ClientConfig client;
  client.id = fields.RequiredText("client_id", "write what the client calls itself");
  const bool plain = !client.id.empty() && client.id.size() <= 128 &&
                     std::ranges::all_of(client.id, [](char c) { return c > ' ' && c <= '~'; });
  if (!plain && !client.id.empty()) {
    context.Error(fields.ValueMark("client_id"), kCfgBadValue,
                  fields.where() + ".client_id has to be at most 128 characters of ASCII",
                  "write one word");
  }
  if (std::ranges::find(server.clients, client.id, &oauth::ClientConfig::id) !=
      server.clients.end()) {
    context.Error(fields.ValueMark("client_id"), kCfgDuplicateName,
                  fields.where() + ".client_id stands there already", "give each client one entry");
  }
  client.name = fields.Text("name").value_or("");
  client.secret = fields.Secret("client_secret");
  client.redirect_uris = fields.Texts("redirect_uris");
  for (const std::string& uri : client.redirect_uris) {
    if (const auto good = oauth::RedirectUri::Parse(uri, true); !good) {
      context.Error(fields.ValueMark("redirect_uris"), kCfgBadValue,
                    fields.where() + ".redirect_uris: " + good.error().detail,
                    "write https://…, http://127.0.0.1/…, or a native program's scheme");
    }
  }
  fields.Done();
  server.clients.push_back(std::move(client));
}

/// "claude.ai", "*.example.com".
bool IsHostPattern(std::string_view host) {
  if (host.starts_with("*.")) host.remove_prefix(2);
  return host.size() <= 253 && host.find('.') != host.npos && !host.starts_with('.') &&
         !host.ends_with('.') && std::ranges::all_of(host, [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.';
         });
}

void ReadDocuments(Fields& fields, oauth::Config& server, bool loopback) {
  for (std::string& host : fields.Texts("client_id_hosts")) {
    if (!IsHostPattern(host) && !(loopback && host == "localhost")) {
      fields.context().Error(fields.ValueMark("client_id_hosts"), kCfgBadValue,
                             fields.where() + ".client_id_hosts: that is no host name",
                             "write claude.ai, or *.example.com for all names below it");
    }
    server.client_id_hosts.push_back(std::move(host));
  }
  if (auto ca = fields.Path("ca")) server.ca_file = ca->string();
  server.allow_addresses = fields.Texts("allow_addresses");
}

}  // namespace

void ReadOauthServer(Context& context, const Node& node, Root& root, Places& places) {
  using namespace std::chrono_literals;
  oauth::Config& server = root.oauth_server;
  Fields fields(context, node, "identity.oauth_server");
  server.enabled = fields.Bool("enabled").value_or(true);
  if (auto lasts = fields.Duration("access_token", 1min, 24h))
    server.access_token = std::chrono::duration_cast<std::chrono::seconds>(*lasts);
  server.refresh = fields.Bool("refresh").value_or(true);
  server.registration = fields.Bool("registration").value_or(false);
  server.list_providers = fields.Bool("list_providers").value_or(true);
  server.allow_loopback_http = fields.Bool("allow_loopback_http").value_or(false);
  ReadDocuments(fields, server, server.allow_loopback_http);
  for (const Node& client : fields.List("clients")) ReadClient(context, client, server);
  server.id_jag = fields.Texts("id_jag");
  for (const std::string& provider : server.id_jag)
    places.providers.push_back(
        {fields.ValueMark("id_jag"), "identity.oauth_server.id_jag", provider});
  fields.Done();
  if (server.enabled && root.server.public_url.empty()) {
    context.Error(node.mark, kCfgMissingKey, "identity.oauth_server needs server.public_url",
                  "it is the issuer");
  }
}

}  // namespace sallyport::config
