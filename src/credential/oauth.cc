#include "credential/oauth.h"

#include <algorithm>
#include <array>

#include "base/bytes.h"
#include "base/ids.h"
#include "credential/encode.h"
#include "credential/renewal.h"
#include "identity/signer.h"
#include "identity/url.h"
#include "json/document.h"

namespace sallyport::credential {
namespace {

constexpr int64_t kLifeUnsaid = 300;          // seconds, where the server does not say
constexpr int64_t kLongestLife = 86'400 * 7;  // what it says beyond is not believed
constexpr int64_t kAssertionLife = 60;        // seconds
constexpr Nanos kSecond = 1'000'000'000;

std::unexpected<Error> Failed(std::string detail) {
  return Fail(Errc::upstream_credential_failed, std::move(detail));
}

FetchRequest Ask(const OAuth& config, std::string url, std::stop_token stop) {
  FetchRequest request;
  request.url = std::move(url);
  request.headers = {{"accept", "application/json"}};
  request.ca_file = config.reach.ca.string();
  request.allow_addresses = config.reach.allow_addresses;
  request.allow_loopback_http = config.reach.allow_loopback_http;
  request.max_body = 64 << 10;
  request.stop = std::move(stop);
  return request;
}

/// The issuer's metadata: as an OpenID provider, or where there is none as an OAuth server.
Result<FetchResponse> Metadata(const OAuth& config, const Fetch& fetch, std::stop_token stop) {
  for (const bool last : {false, true}) {
    std::string url =
        last ? identity::OauthMetadataUrl(config.issuer) : identity::DiscoveryUrl(config.issuer);
    auto answer = fetch(Ask(config, std::move(url), stop));
    if (!answer) return Failed("metadata of the issuer: " + answer.error().detail);
    if (answer->status == 200) return answer;
    const bool none = answer->status >= 400 && answer->status < 500;
    if (last || !none)
      return Failed("the issuer answered HTTP " + std::to_string(answer->status) +
                    " for its metadata");
  }
  return Failed("the issuer has no metadata");
}

/// The token endpoint of the issuer's metadata, which has to be on the issuer's own origin: a
/// document of somebody else must not choose who gets our secret.
Result<std::string> TokenUrl(const OAuth& config, const Fetch& fetch, std::stop_token stop) {
  if (!config.token_url.empty()) return config.token_url;
  SALLYPORT_TRY(const FetchResponse answer, Metadata(config, fetch, std::move(stop)));
  const auto doc = json::Document::Parse(answer.body);
  if (!doc || doc->root()["issuer"].string() != std::string_view(config.issuer))
    return Failed("the metadata is not of the configured issuer");
  const std::string url(doc->root()["token_endpoint"].string().value_or(""));
  const auto own = identity::ParseIssuerUrl(config.issuer), there = identity::ParseIssuerUrl(url);
  if (!own || !there || own->origin != there->origin)
    return Failed("token_endpoint is not on the issuer's origin: configure token_url");
  return url;
}

/// The assertion signed by the client's own key, of whichever kind it is.
Result<std::string> SignByOwnKey(const OAuth& config, std::string_view claims) {
  using identity::Alg;
  const auto pem = secrets::Resolve(config.client_key);
  if (!pem) return Failed(pem.error().detail);
  std::string why;
  for (const Alg alg : {Alg::rs256, Alg::es256, Alg::es384, Alg::eddsa}) {
    const auto signer = identity::Signer::FromPem(pem->Reveal(), alg, config.client_key_id);
    if (!signer) {
      why = signer.error().detail;
      continue;
    }
    std::string header = "{\"alg\":" + json::Quote(identity::AlgName(alg)) + R"(,"typ":"JWT")";
    if (!config.client_key_id.empty()) header += ",\"kid\":" + json::Quote(config.client_key_id);
    return signer->SignWithHeader(header + "}", claims);
  }
  return Failed("client_key: " + why);
}

Result<std::string> Assertion(const OAuth& config, const GateIssuer& issuer, Nanos now) {
  const std::string& audience = !config.assertion_audience.empty() ? config.assertion_audience
                                : !config.issuer.empty()           ? config.issuer
                                                                   : config.token_url;
  const std::string id = json::Quote(config.client_id);
  const int64_t seconds = now / kSecond;
  const std::string claims = "{\"iss\":" + id + ",\"sub\":" + id +
                             ",\"aud\":" + json::Quote(audience) +
                             ",\"iat\":" + std::to_string(seconds) +
                             ",\"exp\":" + std::to_string(seconds + kAssertionLife) +
                             ",\"jti\":" + json::Quote(NewHandle(16)) + "}";
  if (!config.client_key.empty()) return SignByOwnKey(config, claims);
  if (!issuer.keys) return Failed("there is no key for assertions");
  return SignAs(issuer, claims);
}

/// How our client proves itself.
Result<> Prove(const OAuth& config, const GateIssuer& issuer, Nanos now, FetchRequest& request) {
  const std::string id = PercentEncode(config.client_id);
  if (config.signs) {
    SALLYPORT_TRY(const std::string assertion, Assertion(config, issuer, now));
    request.body += "&client_id=" + id +
                    "&client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3A"
                    "jwt-bearer&client_assertion=" +
                    assertion;
    return {};
  }
  const auto secret = secrets::Resolve(config.client_secret);
  if (!secret) return Failed(secret.error().detail);
  // RFC 6749 section 2.3.1: both are form-encoded before they are joined.
  const std::string key = PercentEncode(secret->Reveal());
  if (config.secret_in_body) {
    request.body += "&client_id=" + id + "&client_secret=" + key;
  } else {
    request.headers.emplace_back("authorization", "Basic " + Base64Encode(AsBytes(id + ':' + key)));
  }
  return {};
}

/// " invalid_client": only what the standard lists is repeated.
std::string CodeOf(std::string_view body) {
  constexpr std::array kKnown = {"invalid_request",       "invalid_client", "invalid_grant",
                                 "unauthorized_client",   "invalid_scope",  "invalid_target",
                                 "unsupported_grant_type"};
  const auto doc = json::Document::Parse(body);
  const auto code = doc ? doc->root()["error"].string() : std::nullopt;
  const bool known = code && std::ranges::any_of(kKnown, [&](auto k) { return *code == k; });
  return known ? ' ' + std::string(*code) : "";
}

bool IsToken(std::string_view text) {
  return !text.empty() && text.size() <= 16'384 &&
         std::ranges::all_of(text, [](char c) { return c > ' ' && c < 0x7f; });
}

Result<Material> ReadToken(std::string_view body, Nanos now) {
  const auto doc = json::Document::Parse(body);
  if (!doc) return Failed("the token endpoint answered with something else than JSON");
  const auto token = doc->root()["access_token"].string();
  const auto type = doc->root()["token_type"].string();
  if (!token || !IsToken(*token)) return Failed("the token endpoint gave no access_token");
  if (!type || !net::SameName(*type, "bearer")) return Failed("the token is no bearer token");
  if (const auto issued = doc->root()["issued_token_type"]) {
    const auto kind = issued.string().value_or("");
    if (kind != "urn:ietf:params:oauth:token-type:access_token" &&
        kind != "urn:ietf:params:oauth:token-type:jwt")
      return Failed("the token endpoint gave another kind of token");
  }
  int64_t life = kLifeUnsaid;
  if (const auto said = doc->root()["expires_in"]) life = said.integer().value_or(0);
  if (life <= 0) return Failed("the token endpoint gave a token that has expired");
  Material made;
  made.secret = Secret(std::string(*token));
  SetTimes(made, now, now + std::min(life, kLongestLife) * kSecond);
  return made;
}

class OAuthCredential final : public Credential {
 public:
  OAuthCredential(const std::string& connection, OAuth config, GateIssuer issuer, Fetch fetch,
                  const Clock& clock)
      : tokens_(connection, clock, 1) {
    obtain_ = [config = std::move(config), issuer = std::move(issuer), fetch = std::move(fetch),
               &clock](std::stop_token stop) {
      return ObtainToken(config, fetch, clock, std::move(stop), issuer);
    };
  }

  Task<MaterialPtr> Apply(const Outgoing&, net::Headers& headers) override {
    MaterialPtr token = tokens_.Known({}, obtain_);
    if (!token) {
      SALLYPORT_CO_TRY(token, co_await tokens_.Get({}, obtain_));
    }
    headers.Add("Authorization", "Bearer " + std::string(token->secret.Reveal()));
    co_return token;
  }

  bool Refused(const Outgoing&, const MaterialPtr& used, int status, const net::Headers&) override {
    return status == 401 && tokens_.Refused({}, used);
  }

 private:
  Renewal::Obtain obtain_;
  Renewal tokens_;
};

}  // namespace

Result<Material> ObtainToken(const OAuth& config, const Fetch& fetch, const Clock& clock,
                             std::stop_token stop, const GateIssuer& issuer) {
  return RequestToken(config, "grant_type=client_credentials", fetch, clock, std::move(stop),
                      issuer);
}

Result<Material> RequestToken(const OAuth& config, std::string grant, const Fetch& fetch,
                              const Clock& clock, std::stop_token stop, const GateIssuer& issuer) {
  SALLYPORT_TRY(std::string url, TokenUrl(config, fetch, stop));
  FetchRequest request = Ask(config, std::move(url), std::move(stop));
  request.method = "POST";
  request.headers.emplace_back("content-type", "application/x-www-form-urlencoded");
  request.body = std::move(grant);
  if (!config.scope.empty()) request.body += "&scope=" + PercentEncode(config.scope);
  if (!config.resource.empty()) request.body += "&resource=" + PercentEncode(config.resource);
  const Nanos now = clock.WallNow();
  SALLYPORT_CHECK(Prove(config, issuer, now, request));
  auto answer = fetch(request);
  explicit_bzero(request.body.data(), request.body.size());
  if (!answer) return Failed("token endpoint: " + answer.error().detail);
  if (answer->status != 200) {
    return Failed("the token endpoint answered HTTP " + std::to_string(answer->status) +
                  CodeOf(answer->body));
  }
  auto made = ReadToken(answer->body, now);
  explicit_bzero(answer->body.data(), answer->body.size());
  return made;
}

CredentialPtr MakeOAuth(const std::string& connection, OAuth config, GateIssuer issuer, Fetch fetch,
                        const Clock& clock) {
  return std::make_shared<OAuthCredential>(connection, std::move(config), std::move(issuer),
                                           std::move(fetch), clock);
}

}  // namespace sallyport::credential
