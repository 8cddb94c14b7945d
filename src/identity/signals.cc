#include "identity/signals.h"

#include <algorithm>
#include <array>

#include "identity/claims.h"

namespace sallyport::identity {
namespace {

constexpr Nanos kSecond = 1'000'000'000;
constexpr size_t kLongestBody = 16 << 10;
constexpr size_t kMostEvents = 16;

std::unexpected<Error> Malformed(std::string what) {
  return Fail(Errc::request_malformed, std::move(what));
}

/// A member of a subject identifier: text of 1 to `max` bytes without control characters.
Result<std::string> Member(json::Value object, const char* name, size_t max) {
  auto text = ShortText(object, name, max);
  if (!text || text->empty())
    return Malformed(std::string("\"") + name + "\" of the subject identifier is not a short text");
  return *std::move(text);
}

/// RFC 9493 sections 3.2.1 to 3.2.4.
Result<SignalSubject> ReadSimple(json::Value subject, std::string_view issuer) {
  const auto format = subject["format"].string();
  SignalSubject out;
  if (format == "iss_sub") {
    SALLYPORT_TRY(const std::string iss, Member(subject, "iss", 2048));
    SALLYPORT_TRY(out.subject, Member(subject, "sub", 255));
    if (iss != issuer)
      return Fail(Errc::identity_mismatch, "the subject belongs to another issuer");
    return out;
  }
  if (format == "email") {
    SALLYPORT_TRY(out.email, Member(subject, "email", 254));
    return out;
  }
  if (format == "opaque") {
    SALLYPORT_TRY(out.subject, Member(subject, "id", 255));
    return out;
  }
  return Malformed(
      "the format of the subject identifier is not one of iss_sub, email, opaque, complex");
}

/// OpenID Shared Signals Framework 1.0 section 3.2: each member is a simple subject.
Result<SignalSubject> ReadComplex(json::Value subject, std::string_view issuer) {
  SignalSubject out;
  const json::Value user = subject["user"], session = subject["session"];
  if (user) {
    SALLYPORT_TRY(out, ReadSimple(user, issuer));
  }
  if (session) {
    // The provider's name of its own session; what `iss_sub` would say there nobody defines.
    if (session["format"].string() != "opaque")
      return Malformed("\"session\" of a complex subject has to be of the format opaque");
    SALLYPORT_TRY(out.sid, Member(session, "id", 255));
  }
  if (!user && !session) return Malformed("a complex subject has to name a user or a session");
  return out;
}

struct Known {
  std::string_view uri, name;
  SignalEffect effect;
};

constexpr std::string_view kCaep = "https://schemas.openid.net/secevent/caep/event-type/";
constexpr std::string_view kRisc = "https://schemas.openid.net/secevent/risc/event-type/";
constexpr std::string_view kSsf = "https://schemas.openid.net/secevent/ssf/event-type/";

constexpr std::array<Known, 19> kEvents{{
    {kCaep, "session-revoked", SignalEffect::end_session},
    {kCaep, "credential-change", SignalEffect::end_person},
    {kCaep, "device-compliance-change", SignalEffect::end_person},
    {kCaep, "token-claims-change", SignalEffect::nothing},
    {kCaep, "assurance-level-change", SignalEffect::nothing},
    {kCaep, "session-established", SignalEffect::nothing},
    {kCaep, "session-presented", SignalEffect::nothing},
    {kCaep, "risk-level-change", SignalEffect::nothing},
    {kRisc, "account-disabled", SignalEffect::end_person},
    {kRisc, "account-purged", SignalEffect::end_person},
    {kRisc, "credential-compromise", SignalEffect::end_person},
    {kRisc, "sessions-revoked", SignalEffect::end_person},
    {kRisc, "account-credential-change-required", SignalEffect::end_person},
    {kRisc, "account-enabled", SignalEffect::nothing},
    {kRisc, "identifier-changed", SignalEffect::nothing},
    {kRisc, "identifier-recycled", SignalEffect::end_person},
    {kSsf, "verification", SignalEffect::nothing},
    {kSsf, "stream-updated", SignalEffect::nothing},
    {"https://schemas.openid.net/secevent/sse/event-type/", "verification", SignalEffect::nothing},
}};

const Known* Find(std::string_view type) {
  const auto found = std::ranges::find_if(kEvents, [&](const Known& known) {
    return type.starts_with(known.uri) && type.substr(known.uri.size()) == known.name;
  });
  return found == kEvents.end() ? nullptr : &*found;
}

/// Which of `words` a member says; empty: none of them.
std::string_view Word(json::Value event, const char* name,
                      std::initializer_list<std::string_view> words) {
  const auto said = event[name].string();
  for (const std::string_view word : words) {
    if (said == word) return word;
  }
  return {};
}

/// What the payload says that changes the effect. A word that is missing, or that we do not know,
/// ends access as the worst of those we do.
void Refine(Signal& signal, json::Value event) {
  const auto note = [&](const char* name, std::string_view word) {
    if (!word.empty()) signal.note = std::string(name) + " " + std::string(word);
  };
  if (signal.type == "credential-change") {
    const auto change = Word(event, "change_type", {"create", "revoke", "update", "delete"});
    note("change_type", change);
    if (change == "create") signal.effect = SignalEffect::nothing;
  } else if (signal.type == "device-compliance-change") {
    const auto status = Word(event, "current_status", {"compliant", "not-compliant"});
    note("current_status", status);
    if (status == "compliant") signal.effect = SignalEffect::nothing;
  } else if (signal.type == "stream-updated") {
    note("status", Word(event, "status", {"enabled", "paused", "disabled"}));
  }
}

/// The subject of one event: SSF 1.0 has it beside `events`, drafts of CAEP inside the event. Two
/// that are not the same text would be two readers' two people.
Result<SignalSubject> SubjectOf(json::Value claims, json::Value event, std::string_view issuer) {
  const json::Value outer = claims["sub_id"], inner = event["subject"];
  if (!outer && !inner) return Malformed("the event names nobody");
  if (outer && inner && outer.raw() != inner.raw())
    return Malformed("the event names two different subjects");
  return ReadSubject(outer ? outer : inner, issuer);
}

/// A complex subject of which we know no part: a device, a tenant, a group.
bool NamesNobody(json::Value claims, json::Value event) {
  const json::Value subject = claims["sub_id"] ? claims["sub_id"] : event["subject"];
  return subject["format"].string() == "complex" && !subject["user"] && !subject["session"];
}

Result<> CheckEventAudience(json::Value claims, const Transmitter& transmitter) {
  const auto ours = [&](json::Value v) {
    const auto text = v.string();
    return text && std::ranges::find(transmitter.audiences, *text) != transmitter.audiences.end();
  };
  const json::Value aud = claims["aud"];
  bool found = ours(aud);
  for (auto v = aud.first(); v; v = v.next()) found |= ours(v);
  if (found) return {};
  return Fail(Errc::token_audience_wrong, "aud is not this gateway");
}

}  // namespace

Result<SignalSubject> ReadSubject(json::Value subject, std::string_view issuer) {
  if (!subject.is(json::Kind::object)) return Malformed("the subject identifier is no object");
  if (subject["format"].string() == "complex") return ReadComplex(subject, issuer);
  return ReadSimple(subject, issuer);
}

Result<SignalSubject> ReadRevocationBody(std::string_view body, std::string_view issuer) {
  if (body.size() > kLongestBody)
    return Fail(Errc::request_too_large, "the body is longer than 16 KiB");
  SALLYPORT_TRY(const auto document,
                json::Document::Parse(body, {.max_bytes = kLongestBody, .max_depth = 8}));
  if (!document.root().is(json::Kind::object)) return Malformed("the body is no JSON object");
  const json::Value subject = document.root()["sub_id"];
  if (!subject) return Malformed("sub_id is missing");
  SALLYPORT_TRY(auto out, ReadSubject(subject, issuer));
  if (out.subject.empty() && out.email.empty()) return Malformed("sub_id names nobody");
  return out;
}

Result<RevocationToken> CheckRevocationToken(const Jws& jws, const ProviderConfig& provider,
                                             const std::vector<std::string>& audiences, Nanos now) {
  const json::Value claims = jws.claims.root();
  if (jws.typ != "global-token-revocation+jwt")
    return Fail(Errc::token_type_wrong, "typ is not global-token-revocation+jwt");
  if (provider.token_class != TokenClass::access)
    return Fail(Errc::token_type_wrong, "this provider has no people");
  if (claims["iss"].string() != provider.issuer)
    return Fail(Errc::token_issuer_unknown, "iss is not the issuer that the key belongs to");
  const json::Value aud = claims["aud"];
  const auto ours = [&](json::Value v) {
    const auto text = v.string();
    return text && std::ranges::find(audiences, *text) != audiences.end();
  };
  // One that is good elsewhere too could be sent on by whoever gets it there.
  if (!ours(aud) && !(aud.is(json::Kind::array) && aud.size() == 1 && ours(aud.first())))
    return Fail(Errc::token_audience_wrong, "aud is not this endpoint alone");
  SALLYPORT_TRY(const auto exp, Date(claims, "exp"));
  SALLYPORT_TRY(const auto iat, Date(claims, "iat"));
  SALLYPORT_TRY(const auto nbf, Date(claims, "nbf"));
  const Nanos skew = provider.skew.count() * kSecond;
  const auto invalid = [](const char* what) { return Fail(Errc::token_claims_invalid, what); };
  if (!exp || !iat) return invalid("exp or iat is missing");
  if (*exp <= *iat || *exp - *iat > std::chrono::seconds(kRevocationTokenLives).count() * kSecond)
    return invalid("the token lives longer than 15 minutes, or not at all");
  if (now >= *exp + skew) return Fail(Errc::token_expired, "the token has expired");
  if (now < *iat - skew || now < nbf.value_or(0) - skew)
    return Fail(Errc::token_not_yet_valid, "the token is not valid yet");
  RevocationToken out{.provider = provider.name, .issuer = provider.issuer, .token_id = {}};
  SALLYPORT_TRY(out.token_id, ShortText(claims, "jti", 255));
  if (out.token_id.empty()) return invalid("jti is missing");
  if (claims["events"]) return Fail(Errc::token_type_wrong, "it is a security event");
  out.expires_at = *exp + skew;
  return out;
}

Result<SecEvent> CheckSecEvent(const Jws& jws, const Transmitter& transmitter, Nanos now) {
  const json::Value claims = jws.claims.root();
  if (jws.typ != "secevent+jwt") return Fail(Errc::token_type_wrong, "typ is not secevent+jwt");
  if (claims["iss"].string() != transmitter.issuer)
    return Fail(Errc::token_issuer_unknown, "iss is not the configured transmitter");
  SALLYPORT_CHECK(CheckEventAudience(claims, transmitter));
  SecEvent out;
  SALLYPORT_TRY(out.token_id, ShortText(claims, "jti", 255));
  SALLYPORT_TRY(const auto iat, Date(claims, "iat"));
  const auto invalid = [](const char* what) { return Fail(Errc::token_claims_invalid, what); };
  if (out.token_id.empty() || !iat) return invalid("jti or iat is missing");
  // SSF 1.0 section 4.1.7 and 4.1.3: neither stands in an event, so that it is nothing else.
  if (claims["exp"] || claims["sub"]) return invalid("an event has neither exp nor sub");
  const Nanos skew = transmitter.skew.count() * kSecond;
  if (now < *iat - skew) return Fail(Errc::token_not_yet_valid, "iat lies in the future");
  out.issued_at = *iat;
  out.too_old = now - *iat > std::chrono::seconds(kOldestEvent).count() * kSecond;
  const json::Value events = claims["events"];
  if (!events.is(json::Kind::object) || events.size() == 0 || events.size() > kMostEvents)
    return invalid("events is not an object of one to 16 events");
  for (auto event = events.first(); event; event = event.next()) {
    if (!event.is(json::Kind::object)) return invalid("an event is no object");
    const Known* known = Find(event.key());
    Signal signal;
    signal.type = known != nullptr ? std::string(known->name) : "unknown";
    if (known != nullptr) signal.effect = known->effect;
    Refine(signal, event);
    if (signal.effect < SignalEffect::nothing && NamesNobody(claims, event)) {
      signal.effect = SignalEffect::nothing;
      signal.note = "names neither user nor session";
    }
    if (signal.effect < SignalEffect::nothing) {
      SALLYPORT_TRY(signal.subject, SubjectOf(claims, event, transmitter.subject_issuer));
      // Other events than the end of a session are about the whole person.
      if (signal.effect == SignalEffect::end_person &&
          !(signal.subject->subject.empty() && signal.subject->email.empty()))
        signal.subject->sid.clear();
    }
    out.signals.push_back(std::move(signal));
  }
  return out;
}

}  // namespace sallyport::identity
