#include "app/offboarding.h"

#include <algorithm>

#include "config/offboarding.h"
#include "net/fetch.h"
#include "obs/log.h"
#include "obs/metrics.h"
#include "secrets/source.h"

namespace sallyport::app {
namespace {

const identity::ProviderConfig* ProviderOf(const config::Root& root, const std::string& name) {
  const auto found = std::ranges::find(root.providers, name, &identity::ProviderConfig::name);
  return found == root.providers.end() ? nullptr : &*found;
}

void Observe(const identity::IssuerEvent& event) {
  if (event.outcome) {
    obs::Log(obs::Level::info, "identity.keys_fetched",
             {{"provider", event.provider}, {"keys", event.keys}});
  } else {
    obs::Log(obs::Level::warn, "identity.keys_not_fetched",
             {{"provider", event.provider}, {"detail", event.outcome.error().detail}});
  }
}

}  // namespace

Result<std::vector<api::SignalSource>> SignalSourcesOf(const config::Root& root) {
  std::vector<api::SignalSource> out;
  for (const identity::SignalConfig& config : root.signals) {
    const auto* provider = ProviderOf(root, config.provider);
    if (provider == nullptr) continue;
    api::SignalSource source{.provider = config.provider,
                             .issuer = provider->issuer,
                             .email_subjects = config.email_subjects,
                             .push = config.ssf && config.ssf->push,
                             .push_token = {}};
    if (config.ssf && !config.ssf->push_token.empty()) {
      SALLYPORT_TRY(source.push_token, secrets::Resolve(config.ssf->push_token));
    }
    out.push_back(std::move(source));
  }
  return out;
}

Result<std::unique_ptr<identity::Transmitters>> MakeTransmitters(const config::Root& root) {
  std::vector<identity::Transmitters::Source> sources;
  for (const identity::SignalConfig& config : root.signals) {
    const auto* provider = ProviderOf(root, config.provider);
    if (provider == nullptr || !config.ssf) continue;
    identity::ProviderConfig keys;
    keys.name = config.provider + "/ssf";
    keys.issuer = config.ssf->issuer;
    keys.jwks_uri = config.ssf->jwks_uri;
    keys.algorithms = provider->algorithms;
    keys.rsa_default_alg = provider->rsa_default_alg;
    keys.stale_if_error = provider->stale_if_error;
    keys.ca_file = provider->ca_file;
    keys.allow_addresses = provider->allow_addresses;
    keys.allow_loopback_http = provider->allow_loopback_http;
    sources.push_back({.who = {.provider = config.provider,
                               .subject_issuer = provider->issuer,
                               .issuer = config.ssf->issuer,
                               .audiences = config.ssf->audiences,
                               .skew = provider->skew},
                       .keys = std::move(keys)});
  }
  if (sources.empty()) return nullptr;
  return identity::Transmitters::Create(std::move(sources), net::FetchUrl, SystemClock(), Observe);
}

std::vector<api::SsfPoll::Options> EventPollsOf(const config::Root& root) {
  std::vector<api::SsfPoll::Options> out;
  for (const identity::SignalConfig& config : root.signals) {
    const auto* provider = ProviderOf(root, config.provider);
    if (provider == nullptr || !config.ssf || !config.ssf->poll) continue;
    const auto& poll = *config.ssf->poll;
    FetchRequest request;
    request.url = poll.endpoint;
    request.ca_file = provider->ca_file;
    request.allow_addresses = provider->allow_addresses;
    request.allow_loopback_http = provider->allow_loopback_http;
    out.push_back({.provider = config.provider,
                   .request = std::move(request),
                   .token = [ref = poll.token] { return secrets::Resolve(ref); },
                   .every = poll.every});
  }
  return out;
}

std::vector<api::PersonPollSource> PersonPollsOf(const config::Root& root) {
  std::vector<api::PersonPollSource> out;
  for (const identity::SignalConfig& config : root.signals) {
    if (config.poll)
      out.push_back({config.provider, config.poll->every, config.poll->unreachable_for});
  }
  return out;
}

std::vector<identity::Offboarding> WorstCasesOf(const config::Root& root) {
  return config::WorstCases(root);
}

void DeclareOffboarding(const config::Root& root) {
  auto& gauges = obs::Metrics().gauges(
      "sallyport_offboarding_seconds",
      "How long access may go on after somebody has left: after the provider's message, and "
      "without one",
      {"provider", "what"});
  for (const identity::Offboarding& worst : WorstCasesOf(root)) {
    if (!worst.told_by.empty())
      gauges.With({worst.provider, "message"}).Set(double(identity::kCutWithin.count()));
    gauges.With({worst.provider, "session"}).Set(double(worst.sessions.within.count()));
    gauges.With({worst.provider, "session_unreachable"})
        .Set(double(worst.sessions_unreachable.within.count()));
    gauges.With({worst.provider, "token"}).Set(double(worst.tokens.within.count()));
  }
}

}  // namespace sallyport::app
