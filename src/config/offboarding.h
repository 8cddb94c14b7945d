#pragma once

#include <vector>

#include "config/schema.h"
#include "identity/offboarding.h"

namespace sallyport::config {

/// How long access may go on after somebody has left, for each OIDC provider of people.
std::vector<identity::Offboarding> WorstCases(const Root& root);

}  // namespace sallyport::config
