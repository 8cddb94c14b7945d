#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api/oauth_documents.h"
#include "api/reply.h"
#include "api/visit.h"
#include "base/secret.h"
#include "oauth/client.h"
#include "oauth/config.h"
#include "oauth/grants.h"
#include "state/sealer.h"

namespace sallyport::api {

/// What a client may do with its token; of the rules it takes away and never gives.
inline constexpr std::string_view kScopeRead = "mcp:read", kScopeWrite = "mcp:write";
inline constexpr std::string_view kAllScopes = "mcp:read mcp:write";

/// The gateway as the authorization server of MCP clients: who they are, what is asked for, what
/// was granted. Thread-safe.
class OauthServer {
 public:
  static constexpr std::chrono::minutes kDecideWithin{10};

  struct Options {
    oauth::Config config;
    std::map<std::string, Secret> secrets;  // of configured clients that have one
    std::string public_url;                 // without a slash at its end: the issuer
    std::vector<std::string> connections;   // of MCP
    std::shared_ptr<oauth::Store> store;
    state::Sealer sealer;  // of registrations
    const Clock& clock;
  };
  explicit OauthServer(Options options);
  ~OauthServer();
  OauthServer(const OauthServer&) = delete;

  const oauth::Config& config() const { return options_.config; }
  const std::string& issuer() const { return options_.public_url; }
  oauth::Grants& grants() { return grants_; }

  /// What of ours a client means by `resource` (RFC 8707).
  struct Resource {
    std::string bound;       // access::Live::resource
    std::string connection;  // empty: all of them
  };
  std::optional<Resource> ResourceOf(std::string_view resource) const;

  /// The client of that id. not_found: there is none. A client that is a document has to be
  /// prepared before.
  Result<oauth::Client> Find(std::string_view client_id) const;
  OauthDocuments& documents() { return documents_; }
  /// The client_id of a client that registers itself. request_malformed: too long.
  Result<std::string> Register(const oauth::ClientMetadata& metadata) const;
  /// rate_limited: 20 registrations in ten minutes of an address (IPv6: of a /64), 2,000 of all.
  Result<> TakeRegistration(std::string_view address);
  void Stop() { documents_.Stop(); }

  /// Whether `client_id` names a client that is the one of `secret`; nullopt: none was shown.
  /// token_missing, token_claims_invalid.
  Result<> CheckSecret(const std::string& client_id,
                       const std::optional<std::string>& secret) const;

  /// Requests that wait for their person: the query of each, under a handle.
  std::string Keep(std::string query);
  std::optional<std::string> Kept(std::string_view handle) const;
  /// Takes it away; false: somebody else has.
  bool Drop(std::string_view handle);

 private:
  struct Waiting {
    std::string query;
    Nanos until = 0;
  };
  const Options options_;
  std::map<std::string, oauth::Client, std::less<>> configured_;
  oauth::Grants grants_;
  OauthDocuments documents_;
  mutable std::mutex mutex_;
  std::map<std::string, Waiting, std::less<>> waiting_;
  Nanos registering_since_ = 0;
  std::map<std::string, uint32_t, std::less<>> registering_;  // by address, in these ten minutes
  uint32_t registered_ = 0;
};

/// Of the scopes that are asked for those that are known here; none of them means all.
std::string KnownScopes(std::string_view asked);
/// The session that `client` gets for `scope` (KnownScopes) at `target`, `who` and times left out.
access::Opening OpeningOf(const OauthServer& server, const oauth::Client& client,
                          const OauthServer::Resource& target, const std::string& scope);

/// Answers POST /token for the grants of this server; `form` is its body.
boost::asio::awaitable<Reply> GrantToken(Visit& visit, const Form& form);

/// RFC 6749 section 5.2: a problem with the name that OAuth has for it in `error`. Always 400 but
/// for our own faults.
Reply OauthProblem(const Error& error, std::string_view oauth);

/// An auth.failure of `method`; what is told then: `error`, or that it could not be recorded.
Error RecordRefusal(const Visit& visit, std::string_view method, const Error& error,
                    const op::Principal* who, std::string_view about = {});

}  // namespace sallyport::api
