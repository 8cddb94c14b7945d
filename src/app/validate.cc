#include "config/validate.h"

#include <cstdio>

#include "app/exit_code.h"
#include "app/gateway.h"
#include "app/verbs.h"
#include "config/load.h"
#include "credential/pkcs11.h"
#include "saml/verifier.h"

namespace sallyport::app {

config::LoadOptions StartOptions() {
  config::LoadOptions options;
  options.saml_metadata = [](std::string_view xml) -> Result<> {
    SALLYPORT_CHECK(saml::Verifier().Read(xml, SystemClock().WallNow()));
    return {};
  };
  return options;
}

int RunValidate(const ValidateOptions& options) {
  config::LoadOptions load = StartOptions();
  load.issuer_token = credential::Pkcs11::Check;
  const config::Outcome outcome = config::ValidateFile(options.config, options.json, load);
  std::fputs(outcome.out.c_str(), stdout);
  std::fputs(outcome.err.c_str(), stderr);
  return outcome.exit_code;
}

Result<config::Root> LoadOrExplain(const std::string& file, int& exit_code,
                                   const config::LoadOptions& options) {
  config::LoadResult loaded = config::LoadFile(file, options);
  std::fputs(config::RenderText(loaded.problems).c_str(), stderr);
  if (loaded.root) return std::move(*loaded.root);
  exit_code = kBadConfig;
  return Fail(Errc::config_invalid, file);
}

}  // namespace sallyport::app
