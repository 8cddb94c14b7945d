#pragma once

#include <string>
#include <vector>

#include "credential/config.h"

namespace sallyport::credential {

/// auth.user_oauth: a token of each person's own account of the upstream (authorization code).
/// Where it comes from: `issuer`, or `authorize_url` with `token_url`, or `discover`.
struct UserOAuth {
  /// How our client proves itself to the token endpoint.
  enum class ClientAuth { unsaid, none, basic, post };
  std::string issuer;  // with the URLs: only what `iss` of an answer has to be (RFC 9207)
  std::string authorize_url, token_url;
  bool discover = false;             // what the upstream itself names (RFC 9728) is followed,
  std::vector<std::string> issuers;  // but only to these; empty: to any
  std::string client_id;             // with `discover` empty (registered there) or a document's URL
  secrets::Ref client_secret;        // read again for each request of a token
  ClientAuth client_auth = ClientAuth::unsaid;
  std::string scope;     // empty: what the upstream asks for, else not sent
  std::string resource;  // RFC 8707; empty: the upstream's URL; "none": not sent
  Reach reach;
  bool operator==(const UserOAuth&) const = default;
};

}  // namespace sallyport::credential
