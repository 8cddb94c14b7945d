#pragma once

#include <filesystem>
#include <vector>

#include "config/outcome.h"

namespace sallyport::config {

/// `policy test`: runs the cases of `tests` (files, or directories whose *.yaml are taken) against
/// the rules and the masking of `config`, and says which rules decided in no case. The format is in
/// docs/policy.md. Exit code 0 all passed, 3 some failed, 78 when the configuration or a test file
/// is not valid. Text to `out`, one line per case; with `json` one object. Values of arguments and
/// replies are never shown.
Outcome RunPolicyCases(const std::filesystem::path& config,
                       const std::vector<std::filesystem::path>& tests, bool json);

}  // namespace sallyport::config
