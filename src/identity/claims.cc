#include "identity/claims.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <optional>
#include <utility>

#include "identity/workload.h"

namespace sallyport::identity {
namespace {

constexpr Nanos kSecond = 1'000'000'000;
constexpr int64_t kLastSecond = 9'000'000'000;  // 2255: still fits in Nanos

std::unexpected<Error> WrongType(const char* what) { return Fail(Errc::token_type_wrong, what); }
std::unexpected<Error> Invalid(std::string what) {
  return Fail(Errc::token_claims_invalid, std::move(what));
}

bool HasAny(json::Value claims, std::initializer_list<const char*> names) {
  return std::ranges::any_of(names, [&](const char* n) { return bool(claims[n]); });
}

/// What logout tokens, security events and DPoP proofs show, which no access token has.
Result<> RefuseEventsAndProofs(json::Value claims) {
  if (HasAny(claims, {"events"})) return WrongType("it is a logout token or a security event");
  if (HasAny(claims, {"htm", "htu", "ath"})) return WrongType("it is a DPoP proof");
  return {};
}

Result<> CheckAccessType(const Jws& jws, const ProviderConfig& provider) {
  json::Value claims = jws.claims.root();
  bool rfc9068 = jws.typ == "at+jwt";
  if (provider.require_at_jwt && !rfc9068) return WrongType("typ is not at+jwt");
  if (!rfc9068 && !jws.typ.empty() && jws.typ != "jwt") {
    return WrongType("typ is not that of an access token");
  }
  SALLYPORT_CHECK(RefuseEventsAndProofs(claims));
  if (HasAny(claims, {"at_hash", "c_hash"}))
    return WrongType("it is an ID token (at_hash, c_hash)");
  // Keycloak names its kinds in a claim `typ`; its older access tokens carry the login's nonce.
  auto kind = claims["typ"].string();
  if (kind && *kind != "Bearer" && *kind != "DPoP") return WrongType("its typ claim is not Bearer");
  if (claims["nonce"] && !rfc9068 && !kind) return WrongType("it is an ID token (nonce)");
  if (ShowsWorkload(claims)) return WrongType("it is a workload's token, not an access token");
  return {};
}

Result<> CheckType(const Jws& jws, const ProviderConfig& provider) {
  switch (provider.token_class) {
    case TokenClass::access:
      return CheckAccessType(jws, provider);
    case TokenClass::ci_workload:
    case TokenClass::k8s_sa:
    case TokenClass::aws_webidentity:
    case TokenClass::spiffe:
      SALLYPORT_CHECK(RefuseEventsAndProofs(jws.claims.root()));
      return CheckWorkload(jws, provider.token_class);
    default:
      return WrongType("no token of this provider's class is accepted here");
  }
}

}  // namespace

Result<std::string> ShortText(json::Value claims, const char* name, size_t max) {
  json::Value v = claims[name];
  if (!v) return std::string();
  auto text = v.string();
  bool clean = text && text->size() <= max &&
               std::ranges::none_of(*text, [](uint8_t c) { return c < 0x20 || c == 0x7f; });
  if (!clean) return Invalid("claim " + std::string(name) + " is not a short text");
  return std::string(*text);
}

Result<std::optional<Nanos>> Date(json::Value claims, const char* name) {
  json::Value v = claims[name];
  if (!v) return std::nullopt;
  auto whole = v.integer();
  if (!whole) {
    auto real = v.number();
    if (real && std::isfinite(*real) && *real >= 0 && *real <= double(kLastSecond)) {
      whole = int64_t(*real);
    }
  }
  if (!whole || *whole < 0 || *whole > kLastSecond) {
    return Invalid("claim " + std::string(name) + " is not a date");
  }
  return *whole * kSecond;
}

namespace {

/// `undated`: the token may leave out when it was issued.
Result<> CheckTimes(json::Value claims, const ProviderConfig& provider, Nanos now,
                    CheckedClaims& out, bool undated = false) {
  const Nanos skew = provider.skew.count() * kSecond;
  SALLYPORT_TRY(auto exp, Date(claims, "exp"));
  SALLYPORT_TRY(auto iat, Date(claims, "iat"));
  SALLYPORT_TRY(auto nbf, Date(claims, "nbf"));
  SALLYPORT_TRY(auto auth_time, Date(claims, "auth_time"));
  const bool dated = iat.has_value();
  out.issued_at = iat.value_or(0);  // unknown: older than any revocation
  if (undated && !dated) iat = std::min(now, exp.value_or(now));
  if (!exp || !iat) return Invalid("exp or iat is missing");
  if (dated && *exp <= *iat) return Invalid("exp is not after iat");
  if (*exp - *iat > provider.max_lifetime.count() * kSecond) {
    return Invalid("the token lives longer than max_lifetime");
  }
  out.expires_at = *exp;
  out.auth_time = auth_time.value_or(0);
  out.valid_from = std::max(*iat, nbf.value_or(0)) - skew;
  out.valid_until = *exp + skew;
  if (now >= out.valid_until) return Fail(Errc::token_expired, "the token has expired");
  if (now < out.valid_from) return Fail(Errc::token_not_yet_valid, "the token is not valid yet");
  return {};
}

/// Notes what `audience` means to us; false: nothing.
bool NoteAudience(std::string_view audience, const ProviderConfig& provider, CheckedClaims& out) {
  if (std::ranges::find(provider.audiences, audience) != provider.audiences.end()) {
    return out.whole_gateway = true;
  }
  const std::string& prefix = provider.resource_prefix;
  if (prefix.empty() || !audience.starts_with(prefix)) return false;
  out.resources.emplace_back(audience);
  return true;
}

Result<> CheckAudience(json::Value claims, const ProviderConfig& provider,
                       const std::vector<std::string>& known_clients, CheckedClaims& out) {
  json::Value aud = claims["aud"];
  if (auto one = aud.string()) {
    if (NoteAudience(*one, provider, out)) return {};
    return Fail(Errc::token_audience_wrong, "aud is not this gateway");
  }
  if (!aud.is(json::Kind::array)) return Fail(Errc::token_audience_wrong, "aud is missing");
  bool found = false;
  for (auto v = aud.first(); v; v = v.next()) {
    auto text = v.string();
    if (!text) return Invalid("aud holds something that is not text");
    found |= NoteAudience(*text, provider, out);
  }
  if (!found) return Fail(Errc::token_audience_wrong, "aud does not name this gateway");
  bool known = !out.client_id.empty() &&
               std::ranges::find(known_clients, out.client_id) != known_clients.end();
  if (aud.size() > 1 && !known) {
    return Fail(Errc::token_audience_wrong,
                "aud names several parties and the token's client is not a known one");
  }
  return {};
}

/// The client a token was issued to: RFC 9068 and 8693 `client_id`, OIDC `azp`, Entra v1 `appid`,
/// Okta `cid`.
Result<std::string> ClientId(json::Value claims) {
  std::string found;
  for (const char* name : {"client_id", "azp", "appid", "cid"}) {
    SALLYPORT_TRY(std::string text, ShortText(claims, name, 512));
    if (!found.empty() && !text.empty() && found != text) {
      return Invalid("two claims name different clients");
    }
    if (!text.empty()) found = std::move(text);
  }
  return found;
}

std::vector<std::string> Words(json::Value value) {
  std::vector<std::string> out;
  if (auto text = value.string()) {
    for (size_t begin = 0; begin < text->size();) {
      size_t end = std::min(text->find(' ', begin), text->size());
      if (end > begin) out.emplace_back(text->substr(begin, end - begin));
      begin = end + 1;
    }
  }
  for (auto one = value.first(); one; one = one.next()) {
    if (auto text = one.string()) out.emplace_back(*text);
  }
  return out;
}

/// What the holder has to prove (RFC 7800). A confirmation that is not understood, or two, is
/// refused: to leave it out would make a bound token a bearer's.
Result<> ReadConfirmation(json::Value claims, CheckedClaims& out) {
  const json::Value cnf = claims["cnf"];
  if (!cnf) return {};
  const auto key = cnf["jkt"].string(), certificate = cnf["x5t#S256"].string();
  const auto& one = key ? key : certificate;
  if (cnf.size() != 1 || !one || one->size() != 43)
    return WrongType("it is bound to its holder in a way that is not known here (cnf)");
  (key ? out.bound_key : out.bound_certificate) = *one;
  return {};
}

/// The claims that have no rules of their own.
Result<> ReadOthers(json::Value claims, CheckedClaims& out) {
  SALLYPORT_TRY(out.subject, ShortText(claims, "sub", 255));
  if (out.subject.empty()) return Invalid("sub is missing");
  SALLYPORT_TRY(out.token_id, ShortText(claims, "jti", 255));
  SALLYPORT_TRY(out.acr, ShortText(claims, "acr", 255));
  SALLYPORT_TRY(out.sid, ShortText(claims, "sid", 255));
  out.amr = Words(claims["amr"]);
  out.scopes = Words(claims["scope"] ? claims["scope"] : claims["scp"]);
  return ReadConfirmation(claims, out);
}

/// Whether `aud` holds `client_id`, and `azp`, where it stands, is it.
Result<> CheckForClient(json::Value claims, const std::string& client_id) {
  const json::Value aud = claims["aud"];
  bool found = aud.string() == client_id;
  for (auto v = aud.first(); v; v = v.next()) found |= v.string() == client_id;
  if (client_id.empty() || !found)
    return Fail(Errc::token_audience_wrong, "aud is not our client at this provider");
  const json::Value azp = claims["azp"];
  if ((azp && azp.string() != client_id) || (!azp && aud.size() > 1))
    return Fail(Errc::token_audience_wrong, "azp is not our client at this provider");
  return {};
}

constexpr const char* kLogoutEvent = "http://schemas.openid.net/event/backchannel-logout";

}  // namespace

Result<CheckedClaims> CheckIdToken(const Jws& jws, const ProviderConfig& provider,
                                   const IdTokenCheck& check, Nanos now) {
  const json::Value claims = jws.claims.root();
  CheckedClaims out;
  if (!jws.typ.empty() && jws.typ != "jwt") return WrongType("typ is not that of an ID token");
  SALLYPORT_CHECK(RefuseEventsAndProofs(claims));
  if (ShowsWorkload(claims)) return WrongType("it is a workload's token, not an ID token");
  if (claims["iss"].string() != provider.issuer)
    return Fail(Errc::token_issuer_unknown, "iss is not the issuer that the key belongs to");
  SALLYPORT_CHECK(CheckForClient(claims, check.client_id));
  SALLYPORT_CHECK(CheckTimes(claims, provider, now, out));
  if (check.nonce.empty() || claims["nonce"].string() != check.nonce)
    return Invalid("nonce is not that of this login");
  if (check.authenticated_from > 0 &&
      out.auth_time + provider.skew.count() * kSecond < check.authenticated_from)
    return Invalid("the person has not signed in anew");
  SALLYPORT_TRY(out.subject, ShortText(claims, "sub", 255));
  if (out.subject.empty()) return Invalid("sub is missing");
  SALLYPORT_TRY(out.acr, ShortText(claims, "acr", 255));
  SALLYPORT_TRY(out.sid, ShortText(claims, "sid", 255));
  out.amr = Words(claims["amr"]);
  out.client_id = check.client_id;
  return out;
}

Result<CheckedClaims> CheckIdJag(const Jws& jws, const ProviderConfig& provider,
                                 const IdJagCheck& check, Nanos now) {
  const json::Value claims = jws.claims.root();
  CheckedClaims out;
  if (jws.typ != "oauth-id-jag+jwt") return WrongType("typ is not that of an ID-JAG");
  SALLYPORT_CHECK(RefuseEventsAndProofs(claims));
  if (claims["cnf"]) return WrongType("it is bound to a key of the client, which is not taken");
  if (ShowsWorkload(claims)) return WrongType("it is a workload's token, not an ID-JAG");
  if (claims["iss"].string() != provider.issuer)
    return Fail(Errc::token_issuer_unknown, "iss is not the issuer that the key belongs to");
  const json::Value aud = claims["aud"];
  const bool ours =
      aud.string() == check.audience || (aud.size() == 1 && aud.first().string() == check.audience);
  if (!ours) return Fail(Errc::token_audience_wrong, "aud is not this gateway alone");
  SALLYPORT_TRY(out.client_id, ShortText(claims, "client_id", 512));
  if (out.client_id.empty() || out.client_id != check.client_id)
    return Invalid("client_id is not the client that shows it");
  SALLYPORT_CHECK(CheckTimes(claims, provider, now, out));
  SALLYPORT_TRY(out.subject, ShortText(claims, "sub", 255));
  SALLYPORT_TRY(out.token_id, ShortText(claims, "jti", 255));
  if (out.subject.empty() || out.token_id.empty()) return Invalid("sub or jti is missing");
  const json::Value resource = claims["resource"];
  const auto one = resource.size() == 1 ? resource.first().string() : resource.string();
  if (!one || one->size() > 2048) return Invalid("it does not name one resource");
  out.resources.emplace_back(*one);
  SALLYPORT_TRY(out.acr, ShortText(claims, "acr", 255));
  SALLYPORT_TRY(out.sid, ShortText(claims, "sid", 255));
  out.amr = Words(claims["amr"]);
  out.scopes = Words(claims["scope"]);
  return out;
}

Result<LogoutToken> CheckLogoutToken(const Jws& jws, const ProviderConfig& provider, Nanos now) {
  const json::Value claims = jws.claims.root();
  if (!jws.typ.empty() && jws.typ != "logout+jwt" && jws.typ != "jwt")
    return WrongType("typ is not that of a logout token");
  if (!claims["events"][kLogoutEvent].is(json::Kind::object))
    return WrongType("it is no logout token");
  if (claims["nonce"]) return WrongType("a logout token has no nonce");
  if (claims["iss"].string() != provider.issuer)
    return Fail(Errc::token_issuer_unknown, "iss is not the issuer that the key belongs to");
  SALLYPORT_CHECK(CheckForClient(claims, provider.client_id));
  CheckedClaims times;
  SALLYPORT_CHECK(CheckTimes(claims, provider, now, times));
  LogoutToken out;
  out.issuer = provider.issuer;
  SALLYPORT_TRY(out.subject, ShortText(claims, "sub", 255));
  SALLYPORT_TRY(out.sid, ShortText(claims, "sid", 255));
  SALLYPORT_TRY(out.token_id, ShortText(claims, "jti", 255));
  if (out.subject.empty() && out.sid.empty()) return Invalid("sub and sid are missing");
  if (out.token_id.empty()) return Invalid("jti is missing");
  out.issued_at = times.issued_at;
  out.expires_at = times.valid_until;
  return out;
}

Result<CheckedClaims> CheckClaims(const Jws& jws, const ProviderConfig& provider,
                                  const std::vector<std::string>& known_clients, Nanos now) {
  json::Value claims = jws.claims.root();
  CheckedClaims out;
  SALLYPORT_CHECK(CheckType(jws, provider));
  if (claims["iss"].string() != provider.issuer) {
    return Fail(Errc::token_issuer_unknown, "iss is not the issuer that the key belongs to");
  }
  SALLYPORT_TRY(out.client_id, ClientId(claims));
  SALLYPORT_CHECK(CheckAudience(claims, provider, known_clients, out));
  SALLYPORT_CHECK(CheckTimes(claims, provider, now, out));
  SALLYPORT_CHECK(ReadOthers(claims, out));
  return out;
}

Result<CheckedClaims> CheckIntrospected(json::Value claims, const ProviderConfig& provider,
                                        const std::vector<std::string>& known_clients, Nanos now) {
  CheckedClaims out;
  SALLYPORT_CHECK(RefuseEventsAndProofs(claims));
  if (HasAny(claims, {"at_hash", "c_hash"}) || claims["token_type"].string() == "refresh_token" ||
      claims["typ"].string() == "Refresh")
    return WrongType("the provider says that it is no access token");
  if (ShowsWorkload(claims)) return WrongType("it is a workload's token, not an access token");
  if (claims["iss"] && claims["iss"].string() != provider.issuer)
    return Fail(Errc::token_issuer_unknown, "iss is not the issuer that was asked");
  SALLYPORT_TRY(out.client_id, ClientId(claims));
  SALLYPORT_CHECK(CheckAudience(claims, provider, known_clients, out));
  SALLYPORT_CHECK(CheckTimes(claims, provider, now, out, true));
  SALLYPORT_CHECK(ReadOthers(claims, out));
  return out;
}

}  // namespace sallyport::identity
