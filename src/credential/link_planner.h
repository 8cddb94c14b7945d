#pragma once

#include <chrono>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>

#include "base/clock.h"
#include "credential/auth_challenge.h"
#include "credential/auth_metadata.h"
#include "credential/fetch_seam.h"
#include "credential/user_links.h"
#include "credential/user_oauth_config.h"

namespace sallyport::credential {

/// Where a person is sent to link their account, and what is asked for there.
struct LinkPlan {
  AuthServer server;
  std::string scope, resource;  // empty: not sent
};

/// Finds out who gives tokens for an upstream: what is configured, or, where that is switched on,
/// what the upstream says (RFC 9728, RFC 8414, MCP authorization). A hostile upstream can name any
/// server; so it cannot name one that gets a secret of ours (`issuers` is needed then), every
/// address is judged as those of identity providers are (net/fetch.h), no redirect is followed, the
/// metadata has to be of the upstream and of the issuer that was asked, and people are told where
/// they go before they go.
///
/// Thread-safe. Plan and ClientAt block: not for shards. `clock` must outlive it.
class LinkPlanner {
 public:
  struct Options {
    UserOAuth config;
    std::string upstream;      // the URL that is called
    std::string redirect_uri;  // of the gateway, for this connection
    std::string document_url;  // the gateway's own client metadata document; empty: it has none
    std::shared_ptr<UserLinks> links;
    Fetch fetch;
    const Clock& clock;
  };
  explicit LinkPlanner(Options options) : options_(std::move(options)) {}

  /// upstream_credential_failed says for people what could not be found out.
  Result<LinkPlan> Plan(std::stop_token stop);
  /// Our client there: the configured one, our document, or one that is registered now (RFC 7591)
  /// and kept for this issuer alone.
  Result<UserClient> ClientAt(const AuthServer& server, std::stop_token stop);
  /// The configured secret is read; a client with its own one keeps it.
  Result<UserClient> WithSecret(UserClient client) const;
  /// The upstream has said something new: what it said before is not used again.
  void Forget();

 private:
  struct Said {
    ResourceMetadata metadata;
    std::string scope;
  };
  Result<LinkPlan> Make(std::stop_token stop);
  BearerChallenge Probe(std::stop_token stop) const;
  Result<Said> AskUpstream(std::stop_token stop) const;
  Result<std::string> Choose(const ResourceMetadata& metadata) const;
  Result<AuthServer> AskIssuer(const std::string& issuer, std::stop_token stop) const;
  Result<UserClient> Register(const AuthServer& server, std::stop_token stop) const;
  UserOAuth::ClientAuth AuthFor(const AuthServer& server, bool secret) const;

  const Options options_;
  std::mutex mutex_;
  std::optional<LinkPlan> known_;
  Nanos known_until_ = 0;
};

}  // namespace sallyport::credential
