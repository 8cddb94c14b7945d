#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "base/task.h"
#include "identity/config.h"
#include "identity/fetch_seam.h"
#include "identity/issuer.h"
#include "identity/signals.h"

namespace sallyport::identity {

/// Decides whether a security event token is one of the transmitter that is configured for a
/// provider, by that transmitter's own keys. No byte of the token selects a key set or a URL.
/// Threads and life as TokenVerifier.
class Transmitters {
 public:
  struct Source {
    Transmitter who;
    /// Where its keys are: issuer and jwks_uri are the transmitter's; how it is reached.
    ProviderConfig keys;
  };
  static Result<std::unique_ptr<Transmitters>> Create(std::vector<Source> sources, Fetch fetch,
                                                      const Clock& clock, ObserveIssuer observe);
  ~Transmitters();
  void Start();
  void Stop();

  bool Has(std::string_view provider) const { return by_provider_.contains(provider); }
  /// not_found: no transmitter is configured for this provider. Else as CheckSecEvent, ParseJws,
  /// VerifySignature; token_key_unknown, identity_provider_down.
  Task<SecEvent> Authenticate(std::string provider, std::string token,
                              std::chrono::steady_clock::time_point deadline);
  /// The same with the keys at hand.
  Result<SecEvent> Judge(std::string_view provider, std::string_view token, bool* wants_refresh);
  /// Fetches what is due on this thread: for tests that never call Start.
  bool FetchDue();

 private:
  struct Entry {
    Transmitter who;
    std::unique_ptr<Issuer> keys;
  };
  explicit Transmitters(const Clock& clock) : clock_(clock) {}
  void RefreshThen(std::string_view provider, std::string_view token, std::function<void()> done);

  const Clock& clock_;
  std::map<std::string, Entry, std::less<>> by_provider_;
};

}  // namespace sallyport::identity
