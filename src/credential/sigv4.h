#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "base/secret.h"

namespace sallyport::credential {

/// An AWS credential as it is used: static, or temporary with a session token.
struct AwsKey {
  std::string id;  // public: it stands in every signature
  Secret secret;
  Secret session_token;  // empty: none
};

/// Who a signature is for.
struct AwsScope {
  std::string region;   // "eu-central-1"
  std::string service;  // "bedrock-agentcore", "execute-api", "lambda", "rds-db" …
};

/// One HTTP request as it will stand on the wire.
struct AwsRequest {
  std::string_view method;
  std::string_view host;    // as in the Host field, with the port where it is not the default one
  std::string_view target;  // path and query, already encoded
  /// Fields to be signed besides Host, in any order and case; several of one name are joined.
  std::vector<std::pair<std::string_view, std::string_view>> headers;
  std::string_view body;
};

/// What has to be added to the request.
struct AwsSignature {
  std::string authorization;  // value of Authorization
  std::string date;           // value of X-Amz-Date
};

/// Signature Version 4 over `request`, in the header form (AWS General Reference, "Signature
/// Version 4 signing process"; checked against AWS's published test suite and botocore).
///
/// The path is normalised and encoded once more, as every service but S3 wants it (an ARN that
/// stands percent-encoded in the path becomes %253A), so this does not sign for S3. The query is
/// sorted and otherwise taken as it stands. X-Amz-Date and, with a session token,
/// X-Amz-Security-Token are signed without being in `headers`. Pure; `internal` if OpenSSL fails.
Result<AwsSignature> SignAws(const AwsRequest& request, const AwsKey& key, const AwsScope& scope,
                             Nanos now);

/// The canonical request (step 1 of the process), for tests and for explaining a refused signature.
/// `date` is the value of X-Amz-Date. Holds the session token, so it must not be logged.
std::string CanonicalAws(const AwsRequest& request, const AwsKey& key, std::string_view date);

/// How long RDS takes a token, from the time that was signed.
inline constexpr std::chrono::seconds kRdsTokenFor{900};

/// A password for `user` at an RDS or Aurora database, by IAM (Amazon RDS User Guide, "IAM database
/// authentication"): a presigned `rds-db:connect` without its scheme. New connections only, and
/// only over TLS. A secret. Pure.
Result<Secret> RdsToken(std::string_view host, uint16_t port, std::string_view user,
                        const AwsKey& key, std::string_view region, Nanos now);

}  // namespace sallyport::credential
