#include <cstdio>

#include "app/exit_code.h"
#include "app/gateway.h"
#include "app/verbs.h"
#include "config/load.h"

namespace sallyport::app {

int RunValidate(const ValidateOptions& options) {
  const config::LoadResult loaded = config::LoadFile(options.config);
  const bool valid = loaded.root.has_value();
  if (options.json) {
    std::printf("%s\n", config::RenderJson(loaded.problems, loaded.notes).c_str());
    return valid ? kOk : kBadConfig;
  }
  std::fputs(config::RenderText(loaded.problems).c_str(), stderr);
  if (!valid) return kBadConfig;
  for (const std::string& note : loaded.notes) std::printf("note: %s\n", note.c_str());
  std::printf("%s: valid, %zu connections, %zu rules\n", options.config.c_str(),
              loaded.root->connections.size(), loaded.root->policies.rules.size());
  return kOk;
}

Result<config::Root> LoadOrExplain(const std::string& file, int& exit_code) {
  config::LoadResult loaded = config::LoadFile(file);
  std::fputs(config::RenderText(loaded.problems).c_str(), stderr);
  if (loaded.root) return std::move(*loaded.root);
  exit_code = kBadConfig;
  return Fail(Errc::config_invalid, file);
}

}  // namespace sallyport::app
