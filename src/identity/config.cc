#include "identity/config.h"

#include <algorithm>
#include <array>
#include <map>
#include <set>
#include <utility>

#include "identity/jwk.h"
#include "identity/url.h"
#include "identity/workload.h"

namespace sallyport::identity {
namespace {

constexpr std::array<std::pair<TokenClass, std::string_view>, 9> kClasses{{
    {TokenClass::access, "access"},
    {TokenClass::id_token, "id-token"},
    {TokenClass::ci_workload, "ci-workload"},
    {TokenClass::k8s_sa, "k8s-sa"},
    {TokenClass::aws_webidentity, "aws-webidentity"},
    {TokenClass::spiffe, "spiffe"},
    {TokenClass::logout_token, "logout-token"},
    {TokenClass::secevent, "secevent"},
    {TokenClass::dpop_proof, "dpop-proof"},
}};

std::unexpected<Error> Bad(const ProviderConfig& p, const std::string& what) {
  return Fail(Errc::config_invalid, "identity provider \"" + p.name + "\": " + what);
}

Result<> CheckUrl(const ProviderConfig& p, const std::string& key, const std::string& url) {
  auto parsed = ParseIssuerUrl(url);
  if (!parsed) return Bad(p, key + " " + parsed.error().detail);
  if (!parsed->https && !(p.allow_loopback_http && parsed->loopback)) {
    return Bad(p,
               key + " must be https (http only for a loopback issuer that is allowed explicitly)");
  }
  return {};
}

Result<> CheckAlgorithms(const ProviderConfig& p) {
  if (p.algorithms.empty()) return Bad(p, "algorithms is empty: name at least one");
  for (const auto& name : p.algorithms) {
    if (!ParseAlg(name)) {
      return Bad(p, "algorithm \"" + name +
                        "\" is not one of RS256, PS256, ES256, ES384, EdDSA (Ed25519)");
    }
  }
  if (p.rsa_default_alg != "RS256" && p.rsa_default_alg != "PS256") {
    return Bad(p, "rsa_default_alg must be RS256 or PS256");
  }
  return {};
}

/// Who is asked about single tokens.
Result<> CheckInquiries(const ProviderConfig& p) {
  const IntrospectionConfig& asked = p.introspection;
  if (!asked.client_id.empty()) {
    if (p.token_class != TokenClass::access)
      return Bad(p, "introspection is for access tokens: remove it, or class");
    if (asked.client_secret.empty()) return Bad(p, "introspection needs client_secret");
    if (!asked.endpoint.empty())
      SALLYPORT_CHECK(CheckUrl(p, "introspection.endpoint", asked.endpoint));
  }
  if (!p.token_review.url.empty()) {
    if (p.token_class != TokenClass::k8s_sa)
      return Bad(p, "token_review is for service accounts: write class: k8s-sa");
    if (p.token_review.token.empty()) return Bad(p, "token_review needs token");
    SALLYPORT_CHECK(CheckUrl(p, "token_review.url", p.token_review.url));
  }
  if (p.dpop == Dpop::required && p.token_class != TokenClass::access)
    return Bad(p, "dpop is for access tokens: remove it, or class");
  return {};
}

/// To ask one provider after the other would show each the tokens of the others.
Result<> CheckAskedOnce(const std::vector<ProviderConfig>& providers) {
  for (const ProviderConfig& p : providers) {
    for (const ProviderConfig& q : providers) {
      if (&p == &q || p.introspection.client_id.empty() || q.introspection.client_id.empty())
        continue;
      if (p.introspection.token_prefix.starts_with(q.introspection.token_prefix))
        return Bad(p, "an opaque token could be one of \"" + q.name +
                          "\" too: give both introspection.token_prefix, none of them the "
                          "beginning of the other");
    }
  }
  return {};
}

Result<> CheckProvider(const ProviderConfig& p) {
  using namespace std::chrono_literals;
  if (p.name.empty()) return Fail(Errc::config_invalid, "an identity provider has no name");
  SALLYPORT_CHECK(CheckUrl(p, "issuer", p.issuer));
  if (!p.jwks_uri.empty()) SALLYPORT_CHECK(CheckUrl(p, "jwks_uri", p.jwks_uri));
  if (!p.jwks_uri.empty() && !p.jwks_file.empty()) {
    return Bad(p, "jwks_uri and jwks_file exclude each other");
  }
  if (p.audiences.empty() || std::ranges::count(p.audiences, std::string()) != 0) {
    return Bad(
        p, "audience is empty: write the value that an access token for this gateway has in aud");
  }
  if (!p.resource_prefix.empty() && !p.resource_prefix.ends_with('/')) {
    return Bad(p, "resource_prefix must end with '/'");  // else /mcp would cover /mcp-other
  }
  SALLYPORT_CHECK(CheckAlgorithms(p));
  if (p.skew < 0s || p.skew > 300s) return Bad(p, "skew must be between 0 and 300 seconds");
  if (p.max_lifetime < 1min || p.max_lifetime > 24h) {
    return Bad(p, "max_lifetime must be between 1 minute and 24 hours");
  }
  if (p.stale_if_error < 0s || p.stale_if_error > 72h) {
    return Bad(p, "stale_if_error must be between 0 and 72 hours");
  }
  SALLYPORT_CHECK(CheckInquiries(p));
  if (p.claims.groups.empty() || p.claims.user.empty()) {
    return Bad(p, "claims.user and claims.groups must name a claim");
  }
  return {};
}

Result<> CheckAgent(const AgentConfig& a, const std::map<std::string, TokenClass>& providers) {
  auto bad = [&](const std::string& what) {
    return Fail(Errc::config_invalid, "agent \"" + a.name + "\": " + what);
  };
  if (a.name.empty()) return Fail(Errc::config_invalid, "an agent has no name");
  if (!a.match.certificate.empty()) {
    SALLYPORT_CHECK(CheckCertificateMatch(a.match));
    if (a.owner.empty())
      return bad("owner is missing: write who answers for it (group:… or user:…)");
    return {};
  }
  const auto provider = providers.find(a.match.provider);
  if (provider == providers.end()) {
    return bad("match.provider \"" + a.match.provider + "\" is not a configured provider");
  }
  if (a.match.client_id.empty() && a.match.subject.empty() && a.match.claims.empty()) {
    return bad("match needs client_id, sub or claims beside provider");
  }
  if (const auto pinned = CheckPinned(a.match, provider->second); !pinned)
    return bad(pinned.error().detail);
  if (a.owner.empty()) return bad("owner is missing: write who answers for it (group:… or user:…)");
  return {};
}

}  // namespace

Result<> CheckCertificateMatch(const AgentConfig::Match& match) {
  if (!match.provider.empty() || !match.client_id.empty() || !match.subject.empty() ||
      !match.claims.empty())
    return Fail(Errc::config_invalid, "certificate stands alone: a certificate has no claims");
  const std::string_view text = match.certificate;
  if (text.starts_with("spiffe://")) return CheckSpiffeId(text);
  const bool digest =
      text.starts_with("sha256:") && text.size() == 71 &&
      text.substr(7).find_first_not_of("0123456789abcdef") == std::string_view::npos;
  if (digest) return {};
  return Fail(Errc::config_invalid,
              "certificate is neither spiffe://TRUST-DOMAIN/PATH nor sha256: and 64 hex digits in "
              "lower case");
}

std::string_view TokenClassName(TokenClass token_class) {
  for (const auto& [value, name] : kClasses) {
    if (value == token_class) return name;
  }
  return "unknown";
}

Result<TokenClass> ParseTokenClass(std::string_view name) {
  if (name == "human-access") return TokenClass::access;
  std::string known;
  for (const auto& [value, text] : kClasses) {
    if (text == name) return value;
    known.append(known.empty() ? "" : ", ").append(text);
  }
  return Fail(Errc::config_invalid, "unknown token class; known: " + known);
}

Result<> CheckConfig(const Config& config) {
  std::map<std::string, TokenClass> names;
  std::set<std::string> issuers, agents;
  for (const auto& p : config.providers) {
    SALLYPORT_CHECK(CheckProvider(p));
    if (!names.emplace(p.name, p.token_class).second) return Bad(p, "the name is used twice");
    if (!issuers.insert(p.issuer).second) {
      return Bad(p, "its issuer belongs to another provider already; an issuer has one class");
    }
  }
  SALLYPORT_CHECK(CheckAskedOnce(config.providers));
  for (const auto& a : config.agents) {
    SALLYPORT_CHECK(CheckAgent(a, names));
    if (!agents.insert(a.name).second) {
      return Fail(Errc::config_invalid, "agent \"" + a.name + "\": the name is used twice");
    }
  }
  return {};
}

}  // namespace sallyport::identity
