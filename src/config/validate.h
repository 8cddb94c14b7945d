#pragma once

#include <filesystem>

#include "config/load.h"
#include "config/outcome.h"

namespace sallyport::config {

/// The checks of start-up without starting. Text: problems to `err`, one line each, and a line
/// "valid" or the number of errors; with `json` one object to `out`. Exit code 0 (warnings
/// included) or 78.
Outcome ValidateFile(const std::filesystem::path& path, bool json, const LoadOptions& options = {});

}  // namespace sallyport::config
