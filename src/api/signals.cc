#include "api/signals.h"

#include <algorithm>
#include <utility>

#include "obs/log.h"
#include "obs/metrics.h"

namespace sallyport::api {
namespace {

using identity::SignalEffect;

constexpr std::chrono::seconds kVerifyWithin{5};

obs::Counter& Received(std::string_view way, std::string_view what) {
  static auto& family = obs::Metrics().counters(
      "sallyport_signals_total", "What identity providers told of people", {"way", "what"});
  return family.With({way, what});
}

}  // namespace

Signals::Signals(Options options) : options_(std::move(options)) {}

const SignalSource* Signals::SourceOf(std::string_view provider) const {
  const auto found = std::ranges::find(options_.sources, provider, &SignalSource::provider);
  return found == options_.sources.end() ? nullptr : &*found;
}

const SignalSource* Signals::SourceOfIssuer(std::string_view issuer) const {
  const auto found = std::ranges::find(options_.sources, issuer, &SignalSource::issuer);
  return found == options_.sources.end() ? nullptr : &*found;
}

Result<access::Target> Signals::Resolve(const SignalSource& source,
                                        const identity::SignalSubject& whom) const {
  access::Target target{.issuer = source.issuer, .subject = whom.subject, .sid = whom.sid};
  if (whom.email.empty()) return target;
  if (!source.email_subjects)
    return Fail(Errc::request_malformed, "people of this provider are not named by address here");
  SALLYPORT_TRY(const auto subjects, options_.sessions.Named(source.issuer, whom.email));
  if (subjects.empty()) return Fail(Errc::not_found, "nobody has shown this address lately");
  if (subjects.size() > 1)
    return Fail(Errc::identity_mismatch,
                "more than one person of this provider has this address: name the subject");
  target.subject = subjects.front();
  return target;
}

Task<size_t> Signals::Revoke(identity::RevocationToken token, identity::SignalSubject whom) {
  const SignalSource* source = SourceOfIssuer(token.issuer);
  if (source == nullptr) co_return Fail(Errc::token_issuer_unknown, "the provider has no people");
  if (options_.replays != nullptr)
    SALLYPORT_CO_CHECK(options_.replays->Take(token.issuer, token.token_id, token.expires_at));
  SALLYPORT_CO_TRY(access::Target target, Resolve(*source, whom));
  target.sid.clear();  // all of the person, whatever session is named beside
  Received("global-token-revocation", "revoked").Add();
  co_return co_await options_.sessions.Revoke(std::move(target), "global-token-revocation",
                                              "revoked by the identity provider",
                                              "global-token-revocation");
}

void Signals::Note(const SignalSource& source, const identity::Signal& signal, std::string_view why,
                   std::string_view way) {
  Received(way, signal.type).Add();
  if (signal.type == "stream-updated" && signal.note != "status enabled")
    obs::Log(obs::Level::warn, "ssf.stream_updated",
             {{"provider", source.provider}, {"note", signal.note}});
  op::Principal whom;
  whom.issuer = source.issuer;
  whom.provider = source.provider;
  if (signal.subject) whom.subject = signal.subject->subject, whom.sid = signal.subject->sid;
  op::AccessEvidence about;
  about.by = way;
  about.whom = &whom;
  op::Evidence evidence;
  evidence.type = op::EventType::signal_received;
  evidence.method = way;
  evidence.detail = signal.type;
  for (const std::string_view more : {std::string_view(signal.note), why})
    if (!more.empty()) evidence.detail.append(", ").append(more);
  evidence.access = &about;
  (void)options_.gate.Record(std::move(evidence));
}

Task<> Signals::Act(const SignalSource& source, const identity::Signal& signal, bool too_old,
                    std::string way) {
  if (signal.effect == SignalEffect::nothing || signal.effect == SignalEffect::unknown) {
    Note(source, signal, "nobody's access ends", way);
    co_return Result<>{};
  }
  if (too_old) {
    Note(source, signal, "too old: nothing that it is about is alive", way);
    co_return Result<>{};
  }
  auto target = Resolve(source, *signal.subject);
  if (!target && target.error().code == Errc::not_found) {
    Note(source, signal, "nobody has this address", way);
    co_return Result<>{};
  }
  if (!target) co_return std::unexpected(std::move(target.error()));
  Received(way, signal.type).Add();
  std::string why = "the identity provider says: " + signal.type;
  if (!signal.note.empty()) why += ", " + signal.note;
  SALLYPORT_CO_CHECK(
      co_await options_.sessions.Revoke(*std::move(target), way, std::move(why), way));
  co_return Result<>{};
}

void Signals::Refused(std::string_view provider, Errc why) {
  op::Evidence evidence;
  evidence.type = op::EventType::auth_failure;
  evidence.method = "ssf-poll";
  evidence.reason = why;
  evidence.ok = false;
  evidence.detail = provider;
  (void)options_.gate.Record(std::move(evidence));
}

Task<> Signals::Deliver(std::string provider, std::string token, std::string way) {
  const SignalSource* source = SourceOf(provider);
  if (source == nullptr || options_.transmitters == nullptr)
    co_return Fail(Errc::not_found, "no transmitter of events is configured for this provider");
  SALLYPORT_CO_TRY(
      const identity::SecEvent event,
      co_await options_.transmitters->Authenticate(
          provider, std::move(token), std::chrono::steady_clock::now() + kVerifyWithin));
  const std::string key = "ssf\n" + provider;
  if (options_.replays != nullptr && options_.replays->Seen(key, event.token_id)) {
    Received(way, "repeated").Add();
    co_return Result<>{};
  }
  for (const identity::Signal& signal : event.signals)
    SALLYPORT_CO_CHECK(co_await Act(*source, signal, event.too_old, way));
  // Only what has taken effect is known: a transmitter that hears of a failure sends it again.
  if (options_.replays != nullptr) {
    const Nanos until =
        options_.clock.WallNow() + 2 * std::chrono::nanoseconds(identity::kOldestEvent).count();
    if (const auto taken = options_.replays->Take(key, event.token_id, until);
        !taken && taken.error().code != Errc::token_used)
      co_return std::unexpected(taken.error());
  }
  co_return Result<>{};
}

}  // namespace sallyport::api
