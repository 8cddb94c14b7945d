#pragma once

#include <memory>
#include <vector>

#include "api/api.h"
#include "api/signals.h"
#include "base/result.h"
#include "config/schema.h"
#include "identity/offboarding.h"
#include "identity/transmitters.h"

namespace sallyport::app {

/// Who may tell of people that leave. Resolves the secrets that they show.
Result<std::vector<api::SignalSource>> SignalSourcesOf(const config::Root& root);

/// Those who send security events; null if nobody does.
Result<std::unique_ptr<identity::Transmitters>> MakeTransmitters(const config::Root& root);

/// The streams of events that are fetched.
std::vector<api::SsfPoll::Options> EventPollsOf(const config::Root& root);

/// The providers that are asked whether people are still there.
std::vector<api::PersonPollSource> PersonPollsOf(const config::Root& root);

/// How long access may go on after somebody has left, for each OIDC provider.
std::vector<identity::Offboarding> WorstCasesOf(const config::Root& root);
/// The same as metrics.
void DeclareOffboarding(const config::Root& root);

}  // namespace sallyport::app
