#pragma once

#include <chrono>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "secrets/source.h"

namespace sallyport::identity {

/// What kind of token an issuer is trusted for. Classes are never interchangeable: a provider
/// accepts exactly one, and a token that shows the marks of another is refused with
/// token-type-wrong.
enum class TokenClass {
  access,           // an OAuth 2.0 access token, RFC 9068 or the issuer's own flavour
  id_token,         // login callback only
  ci_workload,      // GitHub Actions, GitLab CI
  k8s_sa,           // a projected service-account token
  aws_webidentity,  // STS GetWebIdentityToken
  spiffe,           // JWT-SVID
  logout_token,     // OIDC back-channel logout
  secevent,         // RFC 8417 security event token
  dpop_proof,       // RFC 9449
};

/// The configuration's spelling: "access", "ci-workload", "k8s-sa" … Static lifetime.
std::string_view TokenClassName(TokenClass token_class);

/// Reads that spelling; config_invalid names the known ones. "human-access" is accepted for
/// "access".
Result<TokenClass> ParseTokenClass(std::string_view name);

/// Which claims hold the readable name and the groups. A name with dots is first looked for as
/// written (some issuers use URLs as names), then as a path into nested objects:
/// `realm_access.roles`.
struct ClaimNames {
  std::string user = "email";  // for people to read; never part of the identity
  std::string groups = "groups";
  bool operator==(const ClaimNames&) const = default;
};

/// How a provider is asked about opaque tokens (RFC 7662); with client_id empty it is not.
struct IntrospectionConfig {
  std::string client_id;  // who we are there
  secrets::Ref client_secret;
  std::string endpoint;      // empty: the one that discovery names
  std::string token_prefix;  // only tokens that begin so are asked of this provider
  bool operator==(const IntrospectionConfig&) const = default;
};

/// How a cluster's API server is asked whether a service account's token is still good
/// (authentication.k8s.io/v1 TokenReview); with url empty it is not.
struct TokenReviewConfig {
  std::string url;  // of the API server
  std::string ca_file;
  secrets::Ref token;  // of an account that may create tokenreviews (system:auth-delegator)
  bool operator==(const TokenReviewConfig&) const = default;
};

/// Tokens that are bound to a key of their holder (RFC 9449) are always taken, with a proof only.
/// advertised: refusals say so. required: the provider's others are refused.
enum class Dpop { taken, advertised, required };

/// One trusted issuer, already resolved and with defaults filled in. The identity of a caller is
/// always (iss, sub); nothing here can change that.
struct ProviderConfig {
  std::string name;    // as the policy and the log call it
  std::string issuer;  // https URL, compared byte for byte with `iss` and the discovery document
  /// A token must carry at least one of these in `aud`.
  std::vector<std::string> audiences;
  /// With "https://gate.example.com/mcp/", an audience below it (what clients that follow RFC 8707
  /// and RFC 9728 get) is good for exactly that resource. Empty: only `audiences` count.
  std::string resource_prefix;
  std::string client_id;             // our own registration, if any; counts as a known client
  std::vector<std::string> clients;  // client ids allowed when `aud` names several parties
  TokenClass token_class = TokenClass::access;
  ClaimNames claims;
  /// Put before the name of each of its groups, so that they are no other provider's.
  std::string group_prefix;

  /// Subset of RS256, PS256, ES256, ES384, EdDSA. Keys of other algorithms are not imported.
  std::vector<std::string> algorithms{"RS256", "PS256", "ES256", "ES384", "EdDSA"};
  std::string rsa_default_alg = "RS256";  // what an RSA key without `alg` means: RS256 or PS256
  bool require_at_jwt = false;            // RFC 9068 issuer: `typ` must be at+jwt
  std::chrono::seconds skew{60};          // at most 300
  std::chrono::seconds max_lifetime{std::chrono::hours(24)};  // largest exp - iat
  /// A group list this long is read as cut (Okta stops at 100 without saying so); 0 means never.
  size_t groups_cut_at = 100;

  /// How long the last good keys are used while the issuer cannot be reached, counted from the
  /// moment they should have been refreshed. After that every token of the issuer is refused
  /// (identity-provider-down).
  std::chrono::seconds stale_if_error{std::chrono::hours(4)};
  /// Overrides discovery; needed if the keys live on another origin than the issuer.
  std::string jwks_uri;
  /// What follows /.well-known/: a transmitter of security events says where its keys are in
  /// another document than an OpenID provider, and elsewhere (RFC 8615: before the issuer's path).
  bool shared_signals = false;
  /// Fixed keys for an issuer that cannot be reached (a private Kubernetes); nothing is fetched.
  std::string jwks_file;
  /// PEM bundle of the issuer's own certificate authority; empty = the system's.
  std::string ca_file;
  /// CIDRs of an internal issuer; without them private addresses are refused.
  std::vector<std::string> allow_addresses;
  IntrospectionConfig introspection;
  TokenReviewConfig token_review;
  Dpop dpop = Dpop::taken;
  /// http:// to 127.0.0.1, ::1 or localhost (sallyport dev and tests).
  bool allow_loopback_http = false;
  bool operator==(const ProviderConfig&) const = default;
};

/// A non-human caller (PCI DSS 7.2.5, 8.6): a verified token that matches becomes this agent.
struct AgentConfig {
  std::string name;
  std::string owner;  // who answers for it, for example "group:payments-platform"
  /// All that are set must match. At least one of client_id, subject and claims is required; or
  /// `certificate` alone.
  struct Match {
    std::string provider;  // ProviderConfig::name; required for a token
    /// "spiffe://TRUST-DOMAIN/PATH" or "sha256:" and 64 hex digits: of the client's certificate,
    /// which is then the whole credential.
    std::string certificate;
    std::string client_id;
    std::string subject;
    std::map<std::string, std::string>
        claims;  // name or dotted path → exact text (numbers as decimal text)
    bool operator==(const Match&) const = default;
  } match;
  bool operator==(const AgentConfig&) const = default;
};

/// The identity section as this module needs it.
struct Config {
  std::vector<ProviderConfig> providers;
  std::vector<AgentConfig> agents;
};

/// config_invalid: `match.certificate` does not name one certificate's holder, or not alone.
Result<> CheckCertificateMatch(const AgentConfig::Match& match);

/// Everything that can be wrong with `config` and does not need the network: names, URLs,
/// algorithms, bounds, agents that name unknown providers. The error's detail says what to write
/// instead.
Result<> CheckConfig(const Config& config);

}  // namespace sallyport::identity
