#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "secrets/source.h"

// connections[].mcp.http.auth: the kinds of credential that are not one fixed text.

namespace sallyport::credential {

/// How a token endpoint may be reached: as identity providers are (net/fetch.h).
struct Reach {
  std::filesystem::path ca;
  std::vector<std::string> allow_addresses;
  bool allow_loopback_http = true;
  bool operator==(const Reach&) const = default;
};

/// auth.sigv4.credentials: where the AWS key comes from.
struct AwsKeys {
  enum class Kind {
    chain,         // environment, then web identity of the environment, then the file it names
    environment,   // AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN
    file,          // a shared credentials file
    keys,          // written here, the secret as a reference
    web_identity,  // AssumeRoleWithWebIdentity
  };
  Kind kind = Kind::chain;
  std::filesystem::path file;
  std::string profile = "default";
  std::string access_key_id;
  secrets::Ref secret_access_key, session_token;
  std::string role_arn;
  std::string session_name = "sallyport";
  secrets::Ref token;         // of web_identity; read again for each exchange
  bool names_caller = false;  // web_identity, token: gate_jwt: a key for each caller, by our token
  std::string audience = "sts.amazonaws.com";    // of our token
  std::string session_policy;                    // an IAM policy, JSON; empty: none
  std::vector<std::string> session_policy_arns;  // at most 10
  std::string sts_url;                           // empty: https://sts.<region>.amazonaws.com/
  std::chrono::seconds duration{3600};
  Reach reach;
  bool operator==(const AwsKeys&) const = default;
};

/// auth.sigv4
struct SigV4 {
  std::string service, region;
  AwsKeys keys;
  bool operator==(const SigV4&) const = default;
};

/// The section `vault`: HashiCorp Vault or OpenBao.
struct Vault {
  enum class Login { token, jwt, kubernetes, approle };
  std::string address;  // https://HOST:8200
  std::string name_space;
  Login login = Login::token;
  std::string mount;    // of the auth method
  std::string role;     // jwt, kubernetes
  std::string role_id;  // approle
  secrets::Ref proof;   // the token, JWT or secret id; read again for each login
  std::chrono::seconds refresh{60};
  Reach reach;
  bool operator==(const Vault&) const = default;
};

/// connections[].postgres.credentials.vault_database
struct VaultDatabase {
  std::string mount = "database", role;
  bool operator==(const VaultDatabase&) const = default;
};

/// The section `aws_secrets`: AWS Secrets Manager.
struct AwsSecrets {
  std::string region;
  std::string url;  // empty: https://secretsmanager.<region>.amazonaws.com/
  AwsKeys keys;
  std::chrono::seconds refresh{300};
  Reach reach;
  bool operator==(const AwsSecrets&) const = default;
};

/// connections[].postgres.credentials.rds_iam, and .jit_role.rds_iam
struct RdsIam {
  std::string region;
  AwsKeys keys;
  bool operator==(const RdsIam&) const = default;
};

/// auth.oauth: client credentials (RFC 6749 section 4.4).
struct OAuth {
  std::string token_url;  // or found through
  std::string issuer;     // (OpenID Connect Discovery, RFC 8414)
  std::string client_id;
  secrets::Ref client_secret;      // read again for each request of a token
  bool secret_in_body = false;     // client_auth: post; else HTTP Basic
  bool signs = false;              // client_auth: private_key_jwt (RFC 7523); no client_secret
  secrets::Ref client_key;         // its key, PEM; empty: the key of the gate as an issuer
  std::string client_key_id;       // `kid` of client_key; empty: not said
  std::string assertion_audience;  // of what is signed; empty: the issuer, or token_url
  std::string scope;               // empty: not sent
  std::string resource;            // RFC 8707; empty: not sent
  Reach reach;
  bool operator==(const OAuth&) const = default;
};

/// auth.exchange: a token for the upstream that stands for the caller, got from an OAuth server for
/// a token of the gate's own that names them (RFC 8693).
struct Exchange {
  OAuth server;                  // who is asked, our client there, scope and resource
  std::string audience;          // of the token that is asked for; empty: not sent
  std::string subject_audience;  // of the gate's token; empty: the issuer, or token_url
  bool operator==(const Exchange&) const = default;
};

/// auth.snowflake_external_oauth: a token of the gate's own in the form of Snowflake's External
/// OAuth, which names the caller's user and role there.
struct SnowflakeOAuth {
  struct Role {
    std::vector<std::string> who;  // "any", "group:x", "user:x", "agent:x"
    std::string role;
    bool operator==(const Role&) const = default;
  };
  std::string account_url;     // https://ORG-ACCOUNT.snowflakecomputing.com: the `aud`
  std::vector<Role> roles;     // the first that speaks of the caller
  std::string provider;        // whose people log in there; empty: there is one provider only
  bool login_by_name = false;  // LOGIN_NAME is the caller's name; else the provider's `sub`
  bool login_in_name = false;  // it stands in the claim `name`; else in `sub`
  std::chrono::seconds ttl{300};
  bool operator==(const SnowflakeOAuth&) const = default;
};

/// issuer_keys.pkcs11: a token (PKCS #11 2.40) that holds the gate's keys as an issuer.
struct Pkcs11Config {
  std::filesystem::path module;  // the maker's library
  std::string token_label;       // exactly one of label and slot
  std::optional<uint64_t> slot;
  secrets::Ref pin;  // of the user; read again for each login
  std::string key_label = "sallyport";
  bool operator==(const Pkcs11Config&) const = default;
};

/// auth.gate_jwt: a short-lived token of the gate's own that names the caller.
struct GateJwt {
  std::string audience;
  std::chrono::seconds ttl{300};
  bool operator==(const GateJwt&) const = default;
};

}  // namespace sallyport::credential
