#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "access/replays.h"
#include "access/sessions.h"
#include "base/clock.h"
#include "base/secret.h"
#include "base/task.h"
#include "gate/gate.h"
#include "identity/signals.h"
#include "identity/transmitters.h"

namespace sallyport::api {

/// One provider, as far as it tells of people that leave.
struct SignalSource {
  std::string provider, issuer;
  bool email_subjects = false;
  bool push = true;   // events may be sent here
  Secret push_token;  // what the transmitter's Authorization has to say; empty: not looked at
};

/// Acts on what identity providers tell of people that leave: requests for Global Token Revocation
/// and security events, whichever way they came. A provider speaks of its own people only.
///
/// Thread-safe. What it was made with must outlive it.
class Signals {
 public:
  struct Options {
    access::Sessions& sessions;
    gate::Gate& gate;
    const Clock& clock;
    access::Replays* replays = nullptr;              // null: nothing is remembered
    identity::Transmitters* transmitters = nullptr;  // null: nobody sends events
    std::vector<SignalSource> sources;
  };
  explicit Signals(Options options);

  const SignalSource* SourceOf(std::string_view provider) const;
  const SignalSource* SourceOfIssuer(std::string_view issuer) const;

  /// Ends all access of who is named; `token` is what authenticated the request, good for one.
  /// token_used, limit_exceeded, not_found (an address that nobody has), identity_mismatch (an
  /// address that more than one person has), request_malformed (addresses are not accepted),
  /// state_unavailable.
  Task<size_t> Revoke(identity::RevocationToken token, identity::SignalSubject whom);

  /// Acts on a security event token of `provider`'s transmitter; `way`: "ssf" or "ssf-poll". When
  /// it returns well, what the event says has taken effect and is durable, or was recorded as
  /// ending nothing; the same event again changes nothing. Errors as Transmitters::Authenticate and
  /// Revoke.
  Task<> Deliver(std::string provider, std::string token, std::string way);
  /// Records that an event which was fetched cannot be good.
  void Refused(std::string_view provider, Errc why);

 private:
  Result<access::Target> Resolve(const SignalSource& source,
                                 const identity::SignalSubject& whom) const;
  Task<> Act(const SignalSource& source, const identity::Signal& signal, bool too_old,
             std::string way);
  void Note(const SignalSource& source, const identity::Signal& signal, std::string_view why,
            std::string_view way);

  const Options options_;
};

}  // namespace sallyport::api
