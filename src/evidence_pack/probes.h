#pragma once

#include "evidence_pack/pack.h"

namespace sallyport::evidence_pack {

/// 7.3.1 to 7.3.3: requests that nobody makes, judged by the rules of the configuration as the
/// gateway judges real ones: nobody and everybody whom a rule names, at every connection and at one
/// that does not exist, tools, prompts, resources and statements that no rule was written for. What
/// is let through has to be by a rule that says so; everything else is denied.
void AddProbes(Pack& pack);

}  // namespace sallyport::evidence_pack
