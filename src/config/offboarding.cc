#include "config/offboarding.h"

#include <algorithm>

namespace sallyport::config {

std::vector<identity::Offboarding> WorstCases(const Root& root) {
  std::vector<identity::Offboarding> out;
  for (const identity::SignalConfig& signals : root.signals) {
    const auto provider =
        std::ranges::find(root.providers, signals.provider, &identity::ProviderConfig::name);
    if (provider == root.providers.end() || provider->token_class != identity::TokenClass::access)
      continue;
    const bool people =
        std::ranges::find(root.logins, signals.provider, &Login::provider) != root.logins.end();
    out.push_back(identity::WorstCase(
        *provider, signals, std::chrono::duration_cast<std::chrono::seconds>(root.session_max),
        people));
  }
  return out;
}

}  // namespace sallyport::config
