#pragma once

#include <string>

#include "config/sections.h"

namespace sallyport::config {

/// `change`: who stands for a configuration. Empty: not stated.
struct Change {
  std::string author, approver, ticket;
};
Change ReadChange(Context& context, const Node& node);

/// Of a configuration that was loaded, read from its file again; nothing where there is no file.
/// config_invalid if the file has changed since and is wrong now.
Result<Change> ChangeOf(const Root& root);

}  // namespace sallyport::config
