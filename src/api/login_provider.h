#pragma once

#include <string>
#include <vector>

#include "base/secret.h"

namespace sallyport::api {

/// An OpenID provider at which people can sign in: our registration there.
struct LoginProvider {
  std::string name;  // in the configuration
  std::string issuer;
  std::string client_id;
  Secret client_secret;  // empty: a public client
  std::vector<std::string> scopes{"openid", "profile", "email"};
  std::string ca_file;  // PEM; replaces the system's authorities
  std::vector<std::string> allow_addresses;
  bool allow_loopback_http = false;
};

}  // namespace sallyport::api
