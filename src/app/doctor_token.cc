// `doctor identity`: a bearer token, and a SAML response.
#include <algorithm>
#include <ctime>

#include "app/doctor_identity.h"
#include "base/bytes.h"
#include "base/clock.h"
#include "identity/groups.h"
#include "identity/jws.h"
#include "identity/verifier.h"
#include "net/fetch.h"
#include "saml/source.h"
#include "saml/verifier.h"

namespace sallyport::app {
namespace {

using Level = Finding::Level;

std::string Seconds(int64_t seconds) {
  if (seconds < 120) return std::to_string(seconds) + " s";
  if (seconds < 7200) return std::to_string(seconds / 60) + " min";
  return std::to_string(seconds / 3600) + " h";
}

/// A text, or a list of texts.
std::string Words(json::Value value) {
  if (const auto text = value.string()) return "\"" + std::string(*text) + "\"";
  std::string out;
  for (auto item = value.first(); item; item = item.next()) {
    if (const auto text = item.string())
      out += (out.empty() ? "\"" : ", \"") + std::string(*text) + "\"";
  }
  return out.empty() ? "nothing" : out;
}

/// Claims that look as if they held groups.
std::string OtherGroupClaims(json::Value claims) {
  std::string out;
  for (auto claim = claims.first(); claim; claim = claim.next()) {
    const std::string name(claim.key());
    if (!claim.is(json::Kind::array) || name == "aud" || name == "amr" || name == "scp") continue;
    out += (out.empty() ? "" : ", ") + name;
  }
  if (claims["realm_access"]["roles"])
    out += (out.empty() ? "" : ", ") + std::string("realm_access.roles");
  return out;
}

class TokenExamination {
 public:
  TokenExamination(const config::Root& root, const std::string& token,
                   const std::string& connection, const ClockSeen& clock, bool& refused)
      : root_(root), token_(token), clock_(clock), refused_(refused) {
    std::string base = root.server.public_url;
    while (base.ends_with('/')) base.pop_back();
    if (!connection.empty()) resource_ = base + "/mcp/" + connection;
  }

  std::vector<Finding> Run() {
    if (token_.starts_with("sps_")) {
      Add(Level::ok, "kind", "a session of the gate's own: only the running gate knows it",
          "sallyport whoami --why --token-file FILE");
      return std::move(findings_);
    }
    const auto jws = identity::ParseJws(token_);
    if (!jws) {
      const bool opaque = !token_.contains('.');
      Refuse("kind", opaque ? "no JSON Web Token: it says nothing by itself" : jws.error().detail,
             opaque ? "ask the provider for an access token of the form JWT, which many give only "
                      "for a registered API (audience, resource)"
                    : "give the access token as the provider issued it, all three parts");
      return std::move(findings_);
    }
    const json::Value claims = jws->claims.root();
    const identity::ProviderConfig* provider = FindProvider(claims);
    if (provider == nullptr) return std::move(findings_);
    Judge(*jws, *provider);
    LookAtGroups(claims, *provider);
    return std::move(findings_);
  }

 private:
  void Add(Level level, std::string check, std::string says, std::string fix = {}) {
    findings_.push_back({level, std::move(check), std::move(says), std::move(fix)});
  }
  void Refuse(std::string check, std::string says, std::string fix) {
    refused_ = true;
    Add(Level::failure, std::move(check), std::move(says), std::move(fix));
  }

  const identity::ProviderConfig* FindProvider(json::Value claims) {
    const std::string issuer(claims["iss"].string().value_or(""));
    const auto at = std::ranges::find(root_.providers, issuer, &identity::ProviderConfig::issuer);
    if (at != root_.providers.end()) return &*at;
    const auto near = std::ranges::find_if(root_.providers, [&](const auto& provider) {
      return SameButSpelling(provider.issuer, issuer);
    });
    if (near != root_.providers.end()) {
      Refuse("issuer",
             "the token says iss \"" + issuer + "\", the provider " + near->name +
                 " is configured as \"" + near->issuer + "\"",
             "write oidc.issuer: " + issuer + " (every byte counts, slashes as well)");
    } else {
      Refuse("issuer", "no provider has the issuer \"" + issuer + "\" of the token",
             "add it under identity.providers, or get the token from one that is there");
    }
    return nullptr;
  }

  /// Nobody said where the token is to be good: at a connection that it names.
  static std::string OneOfOurs(json::Value audience, const identity::ProviderConfig& provider) {
    const auto ours = [&](json::Value value) {
      const auto text = value.string();
      return text && !provider.resource_prefix.empty() &&
             text->starts_with(provider.resource_prefix);
    };
    if (ours(audience)) return std::string(*audience.string());
    for (auto item = audience.first(); item; item = item.next()) {
      if (ours(item)) return std::string(*item.string());
    }
    return {};
  }

  /// The gate's own verdict, and what lies behind it.
  void Judge(const identity::Jws& jws, const identity::ProviderConfig& provider) {
    auto verifier = identity::TokenVerifier::Create({root_.providers, root_.agents}, net::FetchUrl,
                                                    SystemClock(), {});
    if (!verifier) return Refuse("token", verifier.error().detail, "see `sallyport validate`");
    while ((*verifier)->FetchDue()) {
    }
    if (resource_.empty()) resource_ = OneOfOurs(jws.claims.root()["aud"], provider);
    const auto verdict = (*verifier)->Verify(token_, nullptr, resource_);
    if (verdict) {
      Add(Level::ok, "token",
          "the gate takes it" + (resource_.empty() ? std::string() : " at " + resource_));
      return;
    }
    Explain(verdict.error(), jws.claims.root(), jws, provider);
  }

  void Explain(const Error& error, json::Value claims, const identity::Jws& jws,
               const identity::ProviderConfig& provider) {
    const int64_t now = std::time(nullptr);
    const std::string off = clock_.ahead_seconds && std::abs(*clock_.ahead_seconds) > 10
                                ? "; the provider's clock and this one are " +
                                      Seconds(std::abs(*clock_.ahead_seconds)) +
                                      " apart: synchronise them first"
                                : "";
    switch (error.code) {
      case Errc::token_audience_wrong: {
        std::string wanted;
        for (const std::string& audience : provider.audiences)
          wanted += (wanted.empty() ? "\"" : ", \"") + audience + "\"";
        if (!provider.resource_prefix.empty())
          wanted += (wanted.empty() ? "\"" : ", \"") +
                    (resource_.empty() ? provider.resource_prefix + "CONNECTION" : resource_) +
                    "\"";
        return Refuse("audience",
                      "the token is for " + Words(claims["aud"]) + ", the gate is " + wanted,
                      "ask the provider for a token with one of those (resource= or audience= in "
                      "the request), or write what it gives as oidc.audience");
      }
      case Errc::token_expired: {
        const int64_t end = claims["exp"].integer().value_or(now);
        return Refuse("time",
                      "the token ended " + Seconds(std::max<int64_t>(now - end, 0)) + " ago",
                      "get another one" + off);
      }
      case Errc::token_not_yet_valid: {
        const int64_t begin =
            std::max(claims["nbf"].integer().value_or(0), claims["iat"].integer().value_or(0));
        return Refuse("time",
                      "the token begins " + Seconds(std::max<int64_t>(begin - now, 0)) +
                          " from now: the clocks of the provider and of this machine differ",
                      "synchronise this machine (timedatectl, chronyc tracking); up to " +
                          std::to_string(provider.skew.count()) + " s are allowed (oidc.skew)" +
                          off);
      }
      case Errc::token_key_unknown:
        return Refuse("key", "the provider shows no key \"" + jws.kid + "\"",
                      "the key was taken away, or the token is of another environment of the "
                      "provider: get another one");
      case Errc::token_signature_invalid:
        return Refuse("signature", "the provider's key did not make this signature",
                      "give the token unchanged; if it is, somebody else made it");
      case Errc::token_type_wrong:
        return Refuse("kind",
                      "this is no " + std::string(TokenClassName(provider.token_class)) +
                          " token: " + error.detail,
                      "ID tokens are for logins only: give the access token");
      case Errc::identity_provider_down:
        return Refuse("keys", "the provider's keys cannot be had, so nothing of it is trusted",
                      "see what is said about the provider above");
      default:
        return Refuse("token", error.detail + " (" + std::string(ReasonCode(error.code)) + ")",
                      "see docs/reason-codes.md");
    }
  }

  void LookAtGroups(json::Value claims, const identity::ProviderConfig& provider) {
    const std::string& name = provider.claims.groups;
    const identity::Groups groups = identity::ReadGroups(claims, name, provider.groups_cut_at);
    if (!groups.complete) {
      Add(Level::failure, "groups", "the list of groups is not whole: " + groups.why,
          "let the provider send only the groups that the gate's rules name (a filter, or assigned "
          "groups); rules for groups are not met until then (identity-incomplete)");
    } else if (!identity::FindClaim(claims, name)) {
      const std::string others = OtherGroupClaims(claims);
      Add(Level::failure, "groups",
          "the token has no claim \"" + name + "\", so no rule for a group is met",
          "let the provider put the groups into its access tokens" +
              (others.empty() ? "" : ", or write oidc.claims.groups: one of " + others));
    } else if (groups.names.empty()) {
      Add(Level::warning, "groups", "the caller is in no group", "put the person into one");
    } else {
      std::string all;
      for (const std::string& group : groups.names) all += (all.empty() ? "" : ", ") + group;
      Add(Level::ok, "groups", all);
    }
  }

  const config::Root& root_;
  const std::string& token_;
  const ClockSeen& clock_;
  bool& refused_;
  std::string resource_;
  std::vector<Finding> findings_;
};

/// The first InResponseTo of a document that nobody has verified; only to ask the verifier about
/// it.
std::string InResponseTo(std::string_view xml) {
  constexpr std::string_view kName = "InResponseTo=\"";
  const size_t at = xml.find(kName);
  if (at == std::string_view::npos) return {};
  const std::string_view rest = xml.substr(at + kName.size());
  return std::string(rest.substr(0, rest.find('"')));
}

Finding AboutResponse(const Error& error) {
  std::string fix = "see docs/reason-codes.md";
  std::string check = "response";
  switch (error.code) {
    case Errc::token_signature_invalid:
    case Errc::token_key_unknown:
      check = "certificate";
      fix =
          "no certificate of the metadata made this signature: the provider signs with a new one. "
          "Get its metadata anew; it should hold both while the certificate changes";
      break;
    case Errc::token_audience_wrong:
      check = "audience";
      fix =
          "write the gate's entity id, its address with /login/saml/metadata, as the audience "
          "(entity id, SP) at the provider, and /login/saml/acs as the ACS";
      break;
    case Errc::token_expired:
    case Errc::token_not_yet_valid:
      check = "time";
      fix = "responses live for minutes: take a fresh one; if it is, synchronise the clocks";
      break;
    case Errc::token_issuer_unknown:
      check = "issuer";
      fix = "the response is of another provider than the metadata";
      break;
    default:
      break;
  }
  return {Level::failure, check, error.detail + " (" + std::string(ReasonCode(error.code)) + ")",
          fix};
}

}  // namespace

std::vector<Finding> LookAtToken(const config::Root& root, const std::string& token,
                                 const std::string& connection, const ClockSeen& clock,
                                 bool& refused) {
  return TokenExamination(root, token, connection, clock, refused).Run();
}

std::vector<Finding> LookAtSaml(const config::Root& root, const config::SamlProvider& provider,
                                const std::string& response) {
  const auto text = saml::ReadSource(provider.metadata);
  if (!text) {
    return {{Level::failure, "metadata", text.error().detail,
             "put the provider's metadata (XML) where saml.metadata points to"}};
  }
  const saml::Verifier verifier;
  const Nanos now = SystemClock().WallNow();
  const auto metadata = verifier.Read(*text, now);
  if (!metadata) {
    const bool over = metadata.error().code == Errc::token_expired;
    const bool keyless = metadata.error().code == Errc::token_key_unknown;
    return {{Level::failure, keyless ? "certificate" : "metadata", metadata.error().detail,
             over ? "get the metadata from the provider anew: nobody signs in until then"
             : keyless
                 ? "the metadata has to hold the certificate that the provider signs with "
                   "(KeyDescriptor for signing)"
                 : "the file has to be the EntityDescriptor of the identity provider, as it gives "
                   "it"}};
  }
  std::vector<Finding> findings{{Level::ok, "metadata",
                                 metadata->entity_id + ", " +
                                     std::to_string(metadata->keys.size()) + " signing key" +
                                     (metadata->keys.size() == 1 ? "" : "s"),
                                 ""}};
  if (response.empty()) return findings;
  std::string xml = response;
  if (!response.contains('<')) {
    std::string compact;
    for (const char c : response) {
      if (c > ' ') compact += c;
    }
    if (const auto bytes = Base64Decode(compact)) xml = std::string(AsText(*bytes));
  }
  std::string base = root.server.public_url;
  while (base.ends_with('/')) base.pop_back();
  const auto checked = verifier.Check(xml, {.issuer = metadata->entity_id,
                                            .keys = metadata->keys,
                                            .audience = base + "/login/saml/metadata",
                                            .acs = base + "/login/saml/acs",
                                            .request_id = InResponseTo(xml),
                                            .now = now});
  if (!checked) {
    findings.push_back(AboutResponse(checked.error()));
  } else {
    findings.push_back({Level::ok, "response", "would sign in " + checked->name_id.value, ""});
  }
  return findings;
}

}  // namespace sallyport::app
