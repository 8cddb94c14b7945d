#pragma once

#include <mutex>
#include <stop_token>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "credential/config.h"
#include "credential/fetch_seam.h"
#include "credential/material.h"

namespace sallyport::credential {

/// A service of AWS that speaks JSON 1.1 (Secrets Manager, CloudWatch Logs).
struct AwsJsonService {
  std::string name;    // in the signature: "secretsmanager", "logs"
  std::string target;  // prefix of X-Amz-Target: "secretsmanager", "Logs_20140328"
  std::string region;
  std::string url;  // empty: https://<name>.<region>.amazonaws.com/
  AwsKeys keys;
  Reach reach;
};

/// Signs and sends requests of one service, with the key that the configuration names; the key is
/// fetched when it is needed, renewed, and fetched anew once where AWS calls it expired or unknown.
/// Blocking: for threads of its users only. Thread-safe.
class AwsJsonClient {
 public:
  /// `clock` must outlive it. Asks nothing yet.
  AwsJsonClient(AwsJsonService service, Fetch fetch, const Clock& clock)
      : service_(std::move(service)), fetch_(std::move(fetch)), clock_(clock) {}

  /// The answer, also one that is an error (AwsErrorName tells which). `region` and the answer's
  /// longest body may be others than usual. A failure: no key, or no answer.
  Result<FetchResponse> Call(std::string_view operation, std::string_view body,
                             std::stop_token stop, const std::string& region = {},
                             size_t max_body = 256 << 10);

 private:
  Result<MaterialPtr> Key(const MaterialPtr& refused, std::stop_token stop);
  Result<FetchResponse> Send(std::string_view operation, std::string_view body,
                             const std::string& region, const Material& key, size_t max_body,
                             std::stop_token stop) const;

  const AwsJsonService service_;
  const Fetch fetch_;
  const Clock& clock_;
  std::mutex mutex_;
  MaterialPtr key_;
};

/// AWS does not take the key: it has expired, or is none.
bool AwsRefusesKey(std::string_view error_name);

}  // namespace sallyport::credential
