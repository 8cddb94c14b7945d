#include "policy/step_up.h"

#include <algorithm>

namespace sallyport::policy {
namespace {

constexpr Nanos kSecond = 1'000'000'000;
constexpr Nanos kSkew = 60 * kSecond;  // of the provider's clock

std::string Words(uint32_t seconds) {
  return seconds % 60 == 0 ? std::to_string(seconds / 60) + " minutes"
                           : std::to_string(seconds) + " seconds";
}

}  // namespace

std::vector<std::string> DefaultSecondFactors() { return {"mfa", "otp", "hwk", "phr", "phrh"}; }

bool HasSecondFactor(const op::Principal& who, const std::vector<std::string>& accept) {
  const auto accepted = [&](const std::string& value) {
    return !value.empty() && std::ranges::find(accept, value) != accept.end();
  };
  return accepted(who.acr) || std::ranges::any_of(who.amr, accepted);
}

Result<> CheckStepUp(const op::StepUp& wanted, const op::Principal& who,
                     const std::vector<std::string>& accept, Nanos now) {
  const auto fail = [](const std::string& what) { return Fail(Errc::mfa_required, what); };
  if (wanted.mfa && !HasSecondFactor(who, accept)) {
    return fail(who.agent.empty() || !who.amr.empty() || !who.acr.empty()
                    ? "this wants a sign-in with a second factor"
                    : "this wants a person who signed in with a second factor");
  }
  if (wanted.max_age_seconds == 0) return {};
  const Nanos oldest = now - Nanos(wanted.max_age_seconds) * kSecond;
  if (who.auth_time == 0 || who.auth_time < oldest || who.auth_time > now + kSkew)
    return fail("this wants a sign-in of the last " + Words(wanted.max_age_seconds));
  return {};
}

}  // namespace sallyport::policy
