#pragma once

#include <stop_token>

#include "credential/aws_json.h"
#include "credential/store_answers.h"

namespace sallyport::credential {

/// AWS Secrets Manager: GetSecretValue of the current version, signed with Signature Version 4.
/// Blocking: for threads of its users only. Thread-safe.
class AwsSecretsClient {
 public:
  /// `clock` must outlive it. Asks nothing yet.
  AwsSecretsClient(AwsSecrets config, Fetch fetch, const Clock& clock);

  /// not_found: AWS says that there is none, or that we may not have it. No detail holds more of an
  /// answer than its error's name.
  Result<SecretMembers> Read(const secrets::Ref& ref, std::stop_token stop);

 private:
  AwsJsonClient client_;
};

}  // namespace sallyport::credential
