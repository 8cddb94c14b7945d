#include "config/validate.h"

#include <algorithm>

#include "config/offboarding.h"

namespace sallyport::config {

Outcome ValidateFile(const std::filesystem::path& path, bool json, const LoadOptions& options) {
  auto loaded = LoadFile(path, options);
  Outcome outcome{.exit_code = loaded.root ? 0 : kExitBadConfig};
  if (loaded.root) {
    for (const auto& worst : WorstCases(*loaded.root))
      loaded.notes.push_back(identity::Describe(worst));
  }
  if (json) {
    outcome.out = RenderJson(loaded.problems, loaded.notes);
    return outcome;
  }
  outcome.err = RenderText(loaded.problems);
  auto errors = std::ranges::count(loaded.problems, Severity::error, &Problem::severity);
  auto warnings = std::ssize(loaded.problems) - errors;
  std::string counts = std::to_string(errors) + (errors == 1 ? " error, " : " errors, ") +
                       std::to_string(warnings) + (warnings == 1 ? " warning" : " warnings");
  if (!loaded.root) {
    outcome.err += path.string() + ": not valid: " + counts + "\n";
    return outcome;
  }
  for (const auto& note : loaded.notes) outcome.out += "note: " + note + "\n";
  outcome.out += path.string() + ": valid, " + std::to_string(loaded.root->connections.size()) +
                 " connections, " + std::to_string(loaded.root->policies.rules.size()) +
                 " rules, " + counts + "\n";
  return outcome;
}

}  // namespace sallyport::config
