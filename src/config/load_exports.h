#pragma once

#include <vector>

#include "base/result.h"
#include "config/schema.h"
#include "export/config.h"

namespace sallyport::config {

/// The section `exports` of a configuration that was loaded, read from its file again; none where
/// there is no file. config_invalid if the file has changed since and is wrong now.
Result<std::vector<exporting::Config>> ExportsOf(const Root& root);

}  // namespace sallyport::config
