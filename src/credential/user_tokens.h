#pragma once

#include <cstdint>
#include <stop_token>
#include <string>

#include "base/fetch.h"
#include "base/secret.h"
#include "credential/fetch_seam.h"
#include "credential/user_oauth_config.h"

namespace sallyport::credential {

/// Our client at one authorization server.
struct UserClient {
  std::string id;
  Secret secret;  // of one that has registered itself; else it is read where it is configured
  UserOAuth::ClientAuth auth = UserOAuth::ClientAuth::none;
};

/// What a token endpoint gave.
struct UserTokens {
  Secret access, refresh;  // refresh: empty, none came with it
  int64_t seconds = 0;     // of the access token's life; 0: not said
  std::string scope;       // empty: as asked for
};

/// A request to a server of the configured reach, with at most 64 KiB of answer.
FetchRequest RequestTo(const Reach& reach, std::string url, std::stop_token stop);

/// Sends `grant`, a form, to a token endpoint, with what proves our client. Blocking.
/// upstream_link_needed: the server says invalid_grant, so a person has to agree again;
/// upstream_credential_failed: everything else, with the server's error code if it is one of RFC
/// 6749 section 5.2. Neither holds bytes of the answer.
Result<UserTokens> AskForUserTokens(const Reach& reach, const std::string& token_url,
                                    const UserClient& client, std::string grant, const Fetch& fetch,
                                    std::stop_token stop);

/// Tells the server that a token is not needed any more (RFC 7009). Nobody waits for its answer to
/// mean something.
void RevokeUserToken(const Reach& reach, const std::string& revocation_url,
                     const UserClient& client, const Secret& token, const Fetch& fetch,
                     std::stop_token stop);

/// The answer of a token endpoint with status 200.
Result<UserTokens> ReadUserTokens(std::string_view text);

}  // namespace sallyport::credential
