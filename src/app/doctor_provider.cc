// `doctor identity`: an OpenID Connect provider.
#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <ctime>

#include "api/form.h"
#include "api/logins.h"
#include "app/doctor_identity.h"
#include "base/bytes.h"
#include "base/ids.h"
#include "identity/jwk.h"
#include "identity/url.h"
#include "json/document.h"
#include "net/fetch.h"
#include "secrets/source.h"

namespace sallyport::app {
namespace {

using Level = Finding::Level;

/// Seconds since the epoch of an HTTP date (RFC 9110 section 5.6.7, the preferred form).
std::optional<int64_t> HttpDate(std::string_view text) {
  std::tm parts{};
  const std::string copy(text);
  const char* end = strptime(copy.c_str(), "%a, %d %b %Y %H:%M:%S GMT", &parts);
  if (end == nullptr || *end != '\0') return std::nullopt;
  return static_cast<int64_t>(timegm(&parts));
}

std::string Lower(std::string text) {
  std::ranges::transform(text, text.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

class ProviderExamination {
 public:
  ProviderExamination(const config::Root& root, const identity::ProviderConfig& provider,
                      ClockSeen& clock, bool& unreachable)
      : root_(root), provider_(provider), clock_(clock), unreachable_(unreachable) {}

  std::vector<Finding> Run() {
    if (!provider_.jwks_file.empty()) {
      Add(Level::ok, "keys", "of the file " + provider_.jwks_file + "; nothing is fetched");
      return std::move(findings_);
    }
    std::string jwks = provider_.jwks_uri;
    const auto discovery = Discover();
    if (discovery && jwks.empty()) jwks = Text(*discovery, "jwks_uri");
    if (!jwks.empty()) LookAtKeys(jwks);
    const auto login = std::ranges::find(root_.logins, provider_.name, &config::Login::provider);
    if (discovery && login != root_.logins.end()) {
      LookAtRedirect(*discovery);
      LookAtClient(*discovery, *login);
    }
    return std::move(findings_);
  }

 private:
  void Add(Level level, std::string check, std::string says, std::string fix = {}) {
    findings_.push_back({level, std::move(check), std::move(says), std::move(fix)});
  }

  static std::string Text(const json::Document& document, std::string_view name) {
    return std::string(document.root()[name].string().value_or(""));
  }

  FetchRequest Request(std::string url) const {
    FetchRequest request;
    request.url = std::move(url);
    request.headers = {{"Accept", "application/json"}};
    request.ca_file = provider_.ca_file;
    request.allow_addresses = provider_.allow_addresses;
    request.allow_loopback_http = provider_.allow_loopback_http;
    return request;
  }

  void Unreachable(const std::string& what, const Error& error) {
    unreachable_ = true;
    const std::string text = Lower(error.detail);
    if (text.contains("certificate") || text.contains("ssl") || text.contains("tls")) {
      Add(Level::failure, "certificate", what + ": " + error.detail,
          "write oidc.ca: PATH with the authority (PEM) that signed the provider's certificate; if "
          "that is right, the certificate is over or made for another name");
    } else if (text.contains("allow_addresses") || text.contains("not public")) {
      Add(Level::failure, "address", what + ": " + error.detail,
          "write oidc.allow_addresses: [CIDR] if the provider is meant to be inside the house");
    } else {
      Add(Level::failure, "reach", what + ": " + error.detail,
          "is the provider up? check DNS, the firewall and the port from this machine; while it is "
          "away, known keys go on for stale_if_error and nobody signs in");
    }
  }

  std::optional<json::Document> Discover() {
    const std::string url = identity::DiscoveryUrl(provider_.issuer);
    const auto answer = net::FetchUrl(Request(url));
    if (!answer) {
      Unreachable(url, answer.error());
      return std::nullopt;
    }
    LookAtClock(*answer);
    body_ = answer->body;
    auto document = json::Document::Parse(body_, {.max_bytes = 512u << 10, .max_depth = 16});
    if (answer->status >= 500) {
      unreachable_ = true;
      Add(Level::failure, "reach", url + " answers with HTTP " + std::to_string(answer->status),
          "the provider is there and cannot serve: see its own status and log");
      return std::nullopt;
    }
    if (answer->status != 200 || !document || !document->root()["issuer"]) {
      Add(Level::failure, "issuer",
          url + " is no discovery document (HTTP " + std::to_string(answer->status) + ")",
          "write the issuer exactly as the provider shows it, with its path (a realm, a tenant); "
          "or "
          "jwks_uri for an issuer without discovery");
      return std::nullopt;
    }
    const std::string stated = Text(*document, "issuer");
    if (stated != provider_.issuer) {
      Add(Level::failure, "issuer",
          "the provider calls itself \"" + stated + "\", the configuration \"" + provider_.issuer +
              "\"",
          SameButSpelling(stated, provider_.issuer)
              ? "write oidc.issuer: " + stated + " (every byte counts, slashes as well)"
              : "another party answers there: write the issuer that the provider shows, or find "
                "out "
                "who answers");
      return std::nullopt;
    }
    Add(Level::ok, "issuer", stated + " names itself so");
    return std::move(*document);
  }

  void LookAtClock(const FetchResponse& answer) {
    const auto theirs = HttpDate(answer.Header("date"));
    if (!theirs) return;
    const int64_t ahead = *theirs - static_cast<int64_t>(std::time(nullptr));
    clock_.ahead_seconds = ahead;
    const int64_t off = std::abs(ahead);
    const std::string says = off <= 2 ? "within two seconds of ours"
                                      : "the provider's clock is " + std::to_string(off) + " s " +
                                            (ahead > 0 ? "ahead of" : "behind") + " ours";
    if (off > provider_.skew.count()) {
      Add(Level::failure, "clock", says,
          "synchronise this machine (timedatectl, chronyc tracking), or the provider's: tokens are "
          "taken for not yet valid or over beyond " +
              std::to_string(provider_.skew.count()) + " s");
    } else {
      Add(off > 10 ? Level::warning : Level::ok, "clock", says,
          off > 10 ? "synchronise this machine: timedatectl, chronyc tracking" : "");
    }
  }

  void LookAtKeys(const std::string& url) {
    const auto issuer = identity::ParseIssuerUrl(provider_.issuer);
    const auto place = identity::ParseIssuerUrl(url);
    if (provider_.jwks_uri.empty() && (!place || !issuer || place->origin != issuer->origin)) {
      Add(Level::failure, "keys", "the keys are at " + url + ", on another origin than the issuer",
          "write oidc.jwks_uri: " + url + " if you know that they are the issuer's");
      return;
    }
    const auto answer = net::FetchUrl(Request(url));
    if (!answer) return Unreachable(url, answer.error());
    if (answer->status != 200) {
      Add(Level::failure, "keys", url + " answers with HTTP " + std::to_string(answer->status),
          "see the provider's own status; no token can be verified without its keys");
      return;
    }
    identity::ImportRules rules{.algorithms = {}, .rsa_default = identity::Alg::rs256};
    for (const std::string& name : provider_.algorithms) {
      if (const auto alg = identity::ParseAlg(name)) rules.algorithms.push_back(*alg);
    }
    rules.rsa_default =
        identity::ParseAlg(provider_.rsa_default_alg).value_or(identity::Alg::rs256);
    const auto keys = identity::KeySet::Import(answer->body, rules);
    if (!keys) {
      Add(Level::failure, "keys", url + ": " + keys.error().detail,
          "the provider has to give a JSON Web Key Set (RFC 7517)");
      return;
    }
    std::string skipped;
    for (const std::string& why : keys->skipped()) skipped += "; left out: " + why;
    if (keys->keys().empty()) {
      Add(Level::failure, "keys",
          url +
              (keys->skipped().empty() ? " holds no key at all"
                                       : " holds no key that can be used") +
              skipped,
          keys->skipped().empty()
              ? "the provider has none to sign with (a rotation that went wrong?): every token is "
                "refused until it shows one"
              : "the provider has to sign with RS256, PS256, ES256, ES384 or EdDSA, RSA from 2048 "
                "bits; see oidc.algorithms");
      return;
    }
    Add(Level::ok, "keys", std::to_string(keys->keys().size()) + " can be used" + skipped);
  }

  std::string Callback() const {
    std::string base = root_.server.public_url;
    while (base.ends_with('/')) base.pop_back();
    return base + "/login/callback";
  }

  /// Begins a login as a browser would and looks whether it is turned away at once. Nobody is
  /// asked for anything.
  void LookAtRedirect(const json::Document& discovery) {
    std::string url = Text(discovery, "authorization_endpoint");
    if (url.empty()) {
      Add(Level::failure, "login", "the provider has no authorization_endpoint",
          "leave client_id away if nobody signs in there");
      return;
    }
    url += url.contains('?') ? '&' : '?';
    url += "response_type=code&prompt=none&scope=openid&client_id=" +
           api::PercentEncode(provider_.client_id) +
           "&redirect_uri=" + api::PercentEncode(Callback()) + "&state=" + NewHandle(16) +
           "&nonce=" + NewHandle(16) + "&code_challenge=" + api::Challenge(NewHandle(48)) +
           "&code_challenge_method=S256";
    FetchRequest request = Request(url);
    request.headers = {{"Accept", "text/html"}};
    const auto answer = net::FetchUrl(request);
    if (!answer) return Unreachable("authorization_endpoint", answer.error());
    const std::string location(answer->Header("location"));
    if (location.starts_with(Callback())) {
      // Turned back to us (login_required): so both are registered.
      Add(Level::ok, "redirect", Callback() + " is registered for " + provider_.client_id);
      return;
    }
    const std::string text = Lower(location + " " + answer->body);
    if (text.contains("redirect_uri") || text.contains("redirect uri") ||
        text.contains("reply url") || text.contains("aadsts50011")) {
      Add(Level::failure, "redirect",
          "the provider does not take " + Callback() + " as a redirect of " + provider_.client_id,
          "register exactly " + Callback() +
              " there (scheme, host, port and path); it is server.public_url and /login/callback");
    } else if (answer->status >= 400 && text.contains("client")) {
      Add(Level::failure, "client", "the provider does not know the client " + provider_.client_id,
          "write oidc.client_id as it is registered at the provider");
    } else if (answer->status >= 400) {
      Add(Level::failure, "redirect",
          "the login is refused with HTTP " + std::to_string(answer->status),
          "register " + Callback() + " for " + provider_.client_id +
              " at the provider, with the code flow and PKCE");
    } else {
      Add(Level::ok, "redirect", "a login begins");
    }
  }

  /// A code that nobody was given: only a client that is known is told so.
  void LookAtClient(const json::Document& discovery, const config::Login& login) {
    FetchRequest request = Request(Text(discovery, "token_endpoint"));
    request.method = "POST";
    request.headers.emplace_back("Content-Type", "application/x-www-form-urlencoded");
    request.body = "grant_type=authorization_code&code=" + NewHandle(16) +
                   "&redirect_uri=" + api::PercentEncode(Callback()) +
                   "&code_verifier=" + NewHandle(48);
    if (login.secret) {
      const auto secret = secrets::Resolve(*login.secret);
      if (!secret) {
        Add(Level::failure, "client", "client_secret: " + secret.error().detail,
            "give the secret where the configuration looks for it");
        return;
      }
      const std::string both =
          api::PercentEncode(provider_.client_id) + ":" + api::PercentEncode(secret->Reveal());
      request.headers.emplace_back("Authorization", "Basic " + Base64Encode(AsBytes(both)));
    } else {
      request.body += "&client_id=" + api::PercentEncode(provider_.client_id);
    }
    const auto answer = net::FetchUrl(request);
    if (!answer) return Unreachable("token_endpoint", answer.error());
    const auto document = json::Document::Parse(answer->body);
    const std::string error =
        document ? std::string(document->root()["error"].string().value_or("")) : "";
    if (error == "invalid_client" || error == "unauthorized_client" || answer->status == 401) {
      Add(Level::failure, "client",
          "the provider does not accept " + provider_.client_id + " with this secret" +
              (error.empty() ? "" : " (" + error + ")"),
          "check client_id and client_secret, and that the client may use client_secret_basic "
          "with the code flow");
    } else if (error == "invalid_grant") {
      Add(Level::ok, "client", provider_.client_id + " and its secret are accepted");
    } else {
      Add(Level::warning, "client",
          "the token endpoint answers with HTTP " + std::to_string(answer->status) +
              (error.empty() ? "" : " (" + error + ")"),
          "sign in once to see whether it works: sallyport login");
    }
  }

  const config::Root& root_;
  const identity::ProviderConfig& provider_;
  ClockSeen& clock_;
  bool& unreachable_;
  std::string body_;  // of the discovery document, which views it
  std::vector<Finding> findings_;
};

}  // namespace

bool SameButSpelling(std::string_view a, std::string_view b) {
  const auto plain = [](std::string_view text) {
    std::string out = Lower(std::string(text));
    if (out.starts_with("http://")) out.replace(0, 7, "https://");
    while (out.ends_with('/')) out.pop_back();
    return out;
  };
  return plain(a) == plain(b);
}

std::vector<Finding> LookAtProvider(const config::Root& root,
                                    const identity::ProviderConfig& provider, ClockSeen& clock,
                                    bool& unreachable) {
  return ProviderExamination(root, provider, clock, unreachable).Run();
}

}  // namespace sallyport::app
