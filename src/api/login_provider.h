#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/secret.h"

namespace sallyport::api {

/// A provider at which people can sign in: our registration there. OpenID Connect, or SAML 2.0 if
/// `saml` is set; then only `name` counts beside it.
struct LoginProvider {
  std::string name;  // in the configuration
  std::string issuer;
  std::string client_id;
  Secret client_secret;  // empty: a public client
  std::vector<std::string> scopes{"openid", "profile", "email"};
  std::string ca_file;  // PEM; replaces the system's authorities
  std::vector<std::string> allow_addresses;
  bool allow_loopback_http = false;

  struct Saml {
    std::function<Result<std::string>()> metadata;  // reads the XML as it is now; thread-safe
    std::string user, groups;                       // names of attributes; empty: none
    std::string group_prefix;                       // identity::ProviderConfig
  };
  std::optional<Saml> saml;
};

}  // namespace sallyport::api
