#include "identity/offboarding.h"

#include <algorithm>

namespace sallyport::identity {
namespace {

using std::chrono::seconds;

/// The bound that holds is the smallest: whatever comes first ends access.
void Tighten(Offboarding::Bound& bound, seconds within, std::string by) {
  if (within < bound.within) bound = {within, std::move(by)};
}

std::string Words(seconds s) {
  const auto n = s.count();
  const auto with = [](long count, const char* unit) {
    return std::to_string(count) + " " + unit + (count == 1 ? "" : "s");
  };
  if (n >= 3600 && n % 3600 == 0) return with(n / 3600, "hour");
  if (n >= 60 && n % 60 == 0) return with(n / 60, "minute");
  return with(n, "second");
}

}  // namespace

Offboarding WorstCase(const ProviderConfig& provider, const SignalConfig& signals, seconds longest,
                      bool people) {
  Offboarding worst{.provider = provider.name};
  if (signals.sends_backchannel_logout) worst.told_by.emplace_back("back-channel logout");
  if (signals.sends_revocation) worst.told_by.emplace_back("global token revocation");
  if (signals.ssf && signals.ssf->push) worst.told_by.emplace_back("security events (push)");
  worst.sessions = {people ? longest : seconds(0),
                    people ? "the session's own end" : "nobody signs in here"};
  worst.tokens = {provider.max_lifetime + provider.skew, "the token's own end (max_lifetime)"};
  worst.sessions_unreachable = worst.sessions;
  if (signals.ssf && signals.ssf->poll) {
    const seconds within = signals.ssf->poll->every + kAnswerWithin + kCutWithin;
    Tighten(worst.sessions, within, "security events (poll)");
    Tighten(worst.tokens, within, "security events (poll)");
  }
  if (people && signals.poll) {
    const SignalConfig::Poll& poll = *signals.poll;
    Tighten(worst.sessions, poll.every + kAnswerWithin + kCutWithin, "poll");
    Tighten(worst.sessions_unreachable,
            poll.unreachable_for + poll.every + kAnswerWithin + kCutWithin,
            "poll without an answer");
  }
  return worst;
}

std::string Describe(const Offboarding& worst) {
  std::string text = "offboarding at \"" + worst.provider + "\": ";
  if (!worst.told_by.empty()) {
    text += "within " + Words(kCutWithin) + " of its message by ";
    for (size_t i = 0; i < worst.told_by.size(); ++i)
      text += (i == 0 ? "" : i + 1 == worst.told_by.size() ? " or " : ", ") + worst.told_by[i];
    text += "; without one ";
  }
  if (worst.sessions.within.count() > 0) {
    text += "sessions end within " + Words(worst.sessions.within) + " (" + worst.sessions.by + ")";
    if (worst.sessions_unreachable.within > worst.sessions.within)
      text += ", or " + Words(worst.sessions_unreachable.within) + " while it cannot be reached (" +
              worst.sessions_unreachable.by + ")";
    text += ", and ";
  }
  return text + "its own tokens within " + Words(worst.tokens.within) + " (" + worst.tokens.by +
         ")";
}

}  // namespace sallyport::identity
