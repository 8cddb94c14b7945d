#pragma once

#include "config/schema.h"
#include "evidence_pack/setup.h"

namespace sallyport::app {

/// What an evidence pack says of a configuration. Reads certificates and public halves of keys from
/// the files that it names; what cannot be read is said so where it would stand. Never a secret.
evidence_pack::Setup EvidenceSetup(const config::Root& root);

}  // namespace sallyport::app
