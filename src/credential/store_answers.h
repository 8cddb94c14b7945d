#pragma once

#include <chrono>
#include <map>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/secret.h"

// What stores of secrets answer, read strictly. All of it is foreign bytes; no error repeats any.

namespace sallyport::credential {

/// One secret of a store.
struct SecretMembers {
  std::map<std::string, Secret, std::less<>> members;
  Secret whole;                      // its text; empty where there are only members
  std::chrono::seconds good_for{0};  // when the store wants to be asked again; 0: it does not say
};

/// The answer to a read of the KV engine, version 1 or 2 (Vault HTTP API, "KV secrets engine").
/// not_found: a deleted version. upstream_protocol: anything else; a secret with a lease of its own
/// too, since its parts would come from different leases.
Result<SecretMembers> ReadVaultSecret(std::string_view json);

/// What a login gives, and a renewal of a token or a look at it ("auth" or "data").
struct VaultToken {
  Secret token;                  // empty for a look
  std::chrono::seconds life{0};  // 0: without end
  bool renewable = false;
};
Result<VaultToken> ReadVaultToken(std::string_view json);

/// A login of the database engine, or the answer to a renewal of its lease (then without the
/// login).
struct VaultLease {
  std::string id, user;
  Secret password;
  std::chrono::seconds life{0};
  bool renewable = false;
};
Result<VaultLease> ReadVaultLease(std::string_view json, bool with_login);

/// The answer to GetSecretValue (AWS Secrets Manager API Reference, 2017-10-17); `whole`, and the
/// members if it is a JSON object.
Result<SecretMembers> ReadSecretValue(std::string_view json);

/// The error's name in an answer of an AWS JSON service ("ResourceNotFoundException"), if it is a
/// plain word; else empty.
std::string AwsErrorName(std::string_view json);

}  // namespace sallyport::credential
