#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "secrets/source.h"

namespace sallyport::identity {

/// How people leave at one provider: identity.providers[].{sends, email_subjects, ssf, poll}.
struct SignalConfig {
  std::string provider;  // ProviderConfig::name
  /// What its administrators say that it sends to this gateway; counts for the worst case only.
  bool sends_backchannel_logout = false;
  bool sends_revocation = false;
  /// People may be named by e-mail address in what it sends.
  bool email_subjects = false;

  /// A transmitter of the Shared Signals Framework.
  struct Ssf {
    std::string issuer;                  // `iss` of its events
    std::string jwks_uri;                // empty: as its metadata says
    std::vector<std::string> audiences;  // ours there
    bool push = true;                    // false: events are only fetched
    secrets::Ref push_token;             // what its Authorization has to say; none: not looked at
    struct Poll {
      std::string endpoint;
      secrets::Ref token;
      std::chrono::seconds every{30};
      bool operator==(const Poll&) const = default;
    };
    std::optional<Poll> poll;
    bool operator==(const Ssf&) const = default;
  };
  std::optional<Ssf> ssf;

  /// Asking the provider whether a person is still one of its own.
  struct Poll {
    std::chrono::seconds every{60};
    /// How long sessions go on while the provider gives no answer.
    std::chrono::seconds unreachable_for{600};
    bool operator==(const Poll&) const = default;
  };
  std::optional<Poll> poll;
  bool operator==(const SignalConfig&) const = default;
};

}  // namespace sallyport::identity
