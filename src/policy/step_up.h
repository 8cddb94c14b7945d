#pragma once

#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "op/decision.h"
#include "op/session.h"

namespace sallyport::policy {

/// What counts as a second factor where the configuration does not say: values of `amr` (RFC 8176)
/// and `acr`.
std::vector<std::string> DefaultSecondFactors();

/// Whether the provider says that the person signed in by one of `accept`. Of what it does not say
/// nothing is assumed.
bool HasSecondFactor(const op::Principal& who, const std::vector<std::string>& accept);

/// mfa_required, with what is missing, unless the person signed in as `wanted` says.
Result<> CheckStepUp(const op::StepUp& wanted, const op::Principal& who,
                     const std::vector<std::string>& accept, Nanos now);

}  // namespace sallyport::policy
