#pragma once

#include <mutex>
#include <stop_token>

#include "base/clock.h"
#include "credential/config.h"
#include "credential/fetch_seam.h"
#include "credential/material.h"
#include "credential/store_answers.h"

namespace sallyport::credential {

/// AWS Secrets Manager: GetSecretValue of the current version, signed with Signature Version 4.
/// Blocking: for threads of its users only. Thread-safe.
class AwsSecretsClient {
 public:
  /// `clock` must outlive it. Asks nothing yet.
  AwsSecretsClient(AwsSecrets config, Fetch fetch, const Clock& clock)
      : config_(std::move(config)), fetch_(std::move(fetch)), clock_(clock) {}

  /// not_found: AWS says that there is none, or that we may not have it. A key that AWS calls
  /// expired or unknown is fetched anew, once. No detail holds more of an answer than its error's
  /// name.
  Result<SecretMembers> Read(const secrets::Ref& ref, std::stop_token stop);

 private:
  Result<MaterialPtr> Key(const MaterialPtr& refused, std::stop_token stop);
  Result<FetchResponse> Send(const secrets::Ref& ref, const Material& key,
                             std::stop_token stop) const;

  const AwsSecrets config_;
  const Fetch fetch_;
  const Clock& clock_;
  std::mutex mutex_;
  MaterialPtr key_;
};

}  // namespace sallyport::credential
