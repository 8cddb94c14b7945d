#pragma once

#include <atomic>
#include <memory>

#include "base/result.h"
#include "config/schema.h"
#include "credential/gate_jwt.h"
#include "credential/jobs.h"

namespace sallyport::app {

/// The gate as an issuer of tokens for upstreams, and what keeps its keys fresh.
class UpstreamIssuer {
 public:
  /// Without keys where no upstream wants such tokens. config_invalid, io_failed: where the keys
  /// should be they cannot be had.
  static Result<std::unique_ptr<UpstreamIssuer>> Open(const config::Root& root);

  credential::GateIssuer issuer() const { return {url_, keys_}; }
  const credential::IssuerKeys* keys() const { return keys_.get(); }
  /// About once a second, from one thread; what takes long is done beside.
  void Tick();

 private:
  std::string url_;
  std::shared_ptr<credential::IssuerKeys> keys_;
  std::atomic<bool> busy_ = false;
  std::unique_ptr<credential::Jobs> jobs_;  // last: its thread uses the others
};

/// public_url without a slash at its end: the issuer of tokens for upstreams.
std::string OriginOf(const config::Root& root);

}  // namespace sallyport::app
