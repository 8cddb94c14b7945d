#pragma once

#include <string>
#include <vector>

namespace sallyport::app {

/// One thing that `doctor` has looked at. `fix` says what to do about it; empty when it is well.
struct Finding {
  enum class Level { ok, warning, failure } level = Level::ok;
  std::string check, says, fix;
};

/// Prints a finding about `name`, which is what `kind` says: {"connection": "orders-db", …} as
/// JSON.
void PrintFinding(const char* kind, const std::string& name, const Finding& finding, bool as_json);

}  // namespace sallyport::app
