#include "identity/transmitters.h"

#include <utility>

namespace sallyport::identity {

Result<std::unique_ptr<Transmitters>> Transmitters::Create(std::vector<Source> sources, Fetch fetch,
                                                           const Clock& clock,
                                                           ObserveIssuer observe) {
  std::unique_ptr<Transmitters> out(new Transmitters(clock));
  for (Source& source : sources) {
    Entry entry;
    source.keys.shared_signals = true;
    SALLYPORT_TRY(entry.keys, Issuer::Create(std::move(source.keys), fetch, clock, observe));
    const std::string provider = source.who.provider;
    entry.who = std::move(source.who);
    out->by_provider_.emplace(provider, std::move(entry));
  }
  return out;
}

Transmitters::~Transmitters() { Stop(); }

void Transmitters::Start() {
  for (auto& [provider, entry] : by_provider_) entry.keys->Start();
}

void Transmitters::Stop() {
  for (auto& [provider, entry] : by_provider_) entry.keys->RequestStop();
  for (auto& [provider, entry] : by_provider_) entry.keys->Stop();
}

Result<SecEvent> Transmitters::Judge(std::string_view provider, std::string_view token,
                                     bool* wants_refresh) {
  const auto found = by_provider_.find(provider);
  if (found == by_provider_.end())
    return Fail(Errc::not_found, "no transmitter of events is configured for this provider");
  if (token.empty()) return Fail(Errc::token_malformed, "there is no token");
  if (token.size() > kMaxTokenBytes)
    return Fail(Errc::token_malformed, "the token is longer than 16 KiB");
  SALLYPORT_TRY(const Jws jws, ParseJws(token));
  const auto event = CheckSecEvent(jws, found->second.who, clock_.WallNow());
  // Somebody else's token has no key here.
  if (!event && event.error().code == Errc::token_issuer_unknown)
    return std::unexpected(event.error());
  const Issuer::Found key = found->second.keys->Find(jws.kid);
  if (key.key == nullptr) {
    if (wants_refresh != nullptr) *wants_refresh = key.may_refresh && event.has_value();
    return Fail(key.why, "the signature of the event cannot be checked");
  }
  SALLYPORT_CHECK(VerifySignature(jws, *key.key));
  return event;
}

void Transmitters::RefreshThen(std::string_view provider, std::string_view token,
                               std::function<void()> done) {
  const auto found = by_provider_.find(provider);
  const auto jws = ParseJws(token);
  if (found == by_provider_.end() || !jws) return done();
  found->second.keys->RefreshThen(jws->kid, std::move(done));
}

bool Transmitters::FetchDue() {
  bool any = false;
  for (auto& [provider, entry] : by_provider_) any |= entry.keys->RunDue();
  return any;
}

}  // namespace sallyport::identity
