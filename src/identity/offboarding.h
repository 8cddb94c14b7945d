#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "identity/config.h"
#include "identity/signal_config.h"

namespace sallyport::identity {

/// What we take at most from hearing of an end to the last thing cut; measured as
/// sallyport_kill_seconds.
inline constexpr std::chrono::seconds kCutWithin{1};
/// How long one question to a provider may take.
inline constexpr std::chrono::seconds kAnswerWithin{5};

/// How long access may go on at most after somebody has left at one provider, as the configuration
/// has it.
struct Offboarding {
  struct Bound {
    std::chrono::seconds within{0};
    std::string by;  // what ends it then
  };
  std::string provider;
  /// What the provider tells us of by itself; access ends within kCutWithin of its message.
  std::vector<std::string> told_by;
  /// If no message comes: sessions of the gateway's own, and the provider's own tokens used as they
  /// are. Of events that are fetched the provider has to say something too, whenever we ask.
  Bound sessions, tokens;
  /// If the provider cannot be reached either: no answer is no "still there".
  Bound sessions_unreachable;
};

/// Pure. `people`: somebody can sign in at the provider. `longest`: the most that a session lasts.
Offboarding WorstCase(const ProviderConfig& provider, const SignalConfig& signals,
                      std::chrono::seconds longest, bool people);

/// The same in one sentence, for people who set it up.
std::string Describe(const Offboarding& worst);

}  // namespace sallyport::identity
