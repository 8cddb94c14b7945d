#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/task.h"
#include "credential/material.h"
#include "net/http_client.h"
#include "op/session.h"

namespace sallyport::credential {

/// One request to an upstream, as far as a credential depends on it.
struct Outgoing {
  std::string_view method;
  const net::Url& url;
  std::string_view body;
  const op::Session* caller = nullptr;  // on whose behalf; null: nobody's (a probe)
};

/// A credential that is made for each request, or renewed while it is used. One per connection,
/// for all shards; thread-safe.
class Credential {
 public:
  virtual ~Credential() = default;
  /// Adds its fields to `headers` and says what it used (for Refused). Waits only where there is
  /// nothing at hand. upstream_credential_failed: no credential is to be had; nothing may be sent.
  virtual Task<MaterialPtr> Apply(const Outgoing& request, net::Headers& headers) = 0;
  /// The upstream answered 401 or 403 to what Apply added, so it has not executed the request.
  /// True: another attempt would carry something else.
  virtual bool Refused(const Outgoing& request, const MaterialPtr& used, int status,
                       const net::Headers& answer) = 0;
  /// What else the upstream's refusal of `used` means for this call, beyond what the status says;
  /// nullopt: nothing. After Refused, on the answer that is final.
  virtual std::optional<Error> Explain(const Outgoing& request, const MaterialPtr& used, int status,
                                       const net::Headers& answer) {
    (void)request, (void)used, (void)status, (void)answer;
    return std::nullopt;
  }
  /// Names what this caller has linked; empty: nothing, or nothing has to be linked. Another name
  /// after linking again.
  virtual std::string LinkOf(const op::Principal& who) const {
    (void)who;
    return {};
  }
  /// The access of these callers has ended: what stands for them is dropped.
  virtual void Forget(const std::function<bool(const op::Principal&)>& whom) { (void)whom; }
};
using CredentialPtr = std::shared_ptr<Credential>;

}  // namespace sallyport::credential
