#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "secrets/source.h"

namespace sallyport::oauth {

/// A client that the administrator has entered: identity.oauth_server.clients[].
struct ClientConfig {
  std::string id;    // what it calls itself in requests
  std::string name;  // on the page that asks for consent; empty: the id
  std::vector<std::string> redirect_uris;
  std::optional<secrets::Ref> secret;  // none: a public client
};

/// identity.oauth_server: the gateway as the authorization server of MCP clients, whose login is
/// that of the configured providers. docs/oauth-server.md
struct Config {
  bool enabled = false;
  /// How long an access token is good before its client renews it. The session behind it lasts as
  /// long as any (sessions.max_duration) and locks as any (sessions.idle).
  std::chrono::seconds access_token{std::chrono::hours(1)};
  bool refresh = true;  // false: the access token lasts `access_token` and is not renewed
  std::vector<ClientConfig> clients;
  bool registration = false;  // RFC 7591
  /// Hosts whose client ID metadata documents are fetched; "*.example.com" is every name below it.
  std::vector<std::string> client_id_hosts;
  std::string ca_file;                       // of those hosts, PEM; empty: the system's
  std::vector<std::string> allow_addresses;  // CIDRs of internal ones
  bool allow_loopback_http = false;          // documents from http://127.0.0.1 (development)
  std::vector<std::string> id_jag;           // providers whose ID-JAGs are taken
  bool list_providers = true;  // in the resources' metadata, behind the gateway itself
};

}  // namespace sallyport::oauth
