// `doctor identity`: what is wrong between the gate and the providers that it trusts.
#include "app/doctor_identity.h"

#include <cstdio>
#include <fstream>
#include <iterator>

#include "app/exit_code.h"
#include "app/gateway.h"
#include "app/verbs.h"
#include "obs/log.h"

namespace sallyport::app {
namespace {

constexpr size_t kMostFile = 1 << 20;

/// A file's text without the white space at its ends; nullopt, said, where it cannot be read.
std::optional<std::string> ReadText(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::string text(kMostFile + 1, '\0');
  if (in) in.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<size_t>(std::max<std::streamsize>(in.gcount(), 0)));
  while (!text.empty() && text.back() <= ' ') text.pop_back();
  if (text.empty() || text.size() > kMostFile) {
    std::fprintf(stderr, "sallyport doctor: cannot read %s\n", path.c_str());
    return std::nullopt;
  }
  return text;
}

struct Sum {
  bool failed = false, unreachable = false, refused = false;
  int exit_code() const {
    return unreachable ? kUnreachable : failed ? kFailed : refused ? kNegative : kOk;
  }
};

}  // namespace

int RunDoctorIdentity(const DoctorIdentityOptions& options) {
  obs::SetLevel("error");
  int exit_code = kOk;
  // Metadata that cannot be used is explained here, and better than at the start.
  config::LoadOptions load = StartOptions();
  load.saml_metadata = nullptr;
  const Result<config::Root> root = LoadOrExplain(options.config, exit_code, load);
  if (!root) return exit_code;
  std::optional<std::string> token, response;
  if (!options.token_file.empty() && !(token = ReadText(options.token_file))) return kUsage;
  if (!options.saml_response.empty() && !(response = ReadText(options.saml_response)))
    return kUsage;
  Sum sum;
  ClockSeen clock;
  size_t looked_at = 0;
  const auto print = [&](const std::string& name, const std::vector<Finding>& findings,
                         bool& failed) {
    ++looked_at;
    for (const Finding& finding : findings) {
      PrintFinding("provider", name, finding, options.json);
      failed |= finding.level == Finding::Level::failure;
    }
  };
  const auto wanted = [&](const std::string& name) {
    return options.provider.empty() || options.provider == name;
  };
  for (const identity::ProviderConfig& provider : root->providers) {
    if (!wanted(provider.name)) continue;
    ClockSeen seen;
    print(provider.name, LookAtProvider(*root, provider, seen, sum.unreachable), sum.failed);
    if (seen.ahead_seconds) clock = seen;
  }
  for (const config::SamlProvider& provider : root->saml) {
    if (wanted(provider.name))
      print(provider.name, LookAtSaml(*root, provider, response.value_or("")), sum.failed);
  }
  if (looked_at == 0) {
    std::fprintf(stderr, "sallyport doctor: there is no provider%s%s\n",
                 options.provider.empty() ? "" : " ", options.provider.c_str());
    return kUsage;
  }
  if (token) {
    bool found = false;
    print("token", LookAtToken(*root, *token, options.connection, clock, sum.refused), found);
    sum.refused |= found;
  }
  return sum.exit_code();
}

}  // namespace sallyport::app
