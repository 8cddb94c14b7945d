#include "credential/exchange.h"

#include "credential/encode.h"
#include "credential/oauth.h"
#include "credential/wallet.h"

namespace sallyport::credential {
namespace {

constexpr std::chrono::seconds kSubjectLife{60};
constexpr std::string_view kGrant =
    "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Atoken-exchange"
    "&requested_token_type=urn%3Aietf%3Aparams%3Aoauth%3Atoken-type%3Aaccess_token"
    "&subject_token_type=urn%3Aietf%3Aparams%3Aoauth%3Atoken-type%3Ajwt&subject_token=";

class ExchangeCredential final : public Credential {
 public:
  ExchangeCredential(const std::string& connection, Exchange config, GateIssuer issuer, Fetch fetch,
                     const Clock& clock)
      : config_(std::move(config)),
        issuer_(std::move(issuer)),
        fetch_(std::move(fetch)),
        clock_(clock),
        subject_(SubjectOf(config_)),
        tokens_(
            connection, Wallet::Holds::one_for_each_caller,
            [this](const op::Principal& who, std::stop_token stop) {
              return Obtain(who, std::move(stop));
            },
            clock) {}

  Task<MaterialPtr> Apply(const Outgoing& request, net::Headers& headers) override {
    SALLYPORT_CO_TRY(MaterialPtr token, co_await tokens_.For(request));
    headers.Add("Authorization", "Bearer " + std::string(token->secret.Reveal()));
    co_return token;
  }

  bool Refused(const Outgoing& request, const MaterialPtr& used, int status,
               const net::Headers&) override {
    return status == 401 && tokens_.Refused(request, used);
  }

  void Forget(const std::function<bool(const op::Principal&)>& whom) override {
    tokens_.Forget(whom);
  }

 private:
  static GateJwt SubjectOf(const Exchange& config) {
    const OAuth& server = config.server;
    return {.audience = !config.subject_audience.empty() ? config.subject_audience
                        : !server.issuer.empty()         ? server.issuer
                                                         : server.token_url,
            .ttl = kSubjectLife};
  }

  Result<Material> Obtain(const op::Principal& who, std::stop_token stop) const {
    SALLYPORT_TRY(const std::string subject,
                  SignAs(issuer_, ClaimsOf(who, issuer_.url, subject_, clock_.WallNow())));
    std::string grant = std::string(kGrant) + PercentEncode(subject);
    if (!config_.audience.empty()) grant += "&audience=" + PercentEncode(config_.audience);
    return RequestToken(config_.server, std::move(grant), fetch_, clock_, std::move(stop), issuer_);
  }

  const Exchange config_;
  const GateIssuer issuer_;
  const Fetch fetch_;
  const Clock& clock_;
  const GateJwt subject_;
  Wallet tokens_;  // last: its threads use the others
};

}  // namespace

CredentialPtr MakeExchange(const std::string& connection, Exchange config, GateIssuer issuer,
                           Fetch fetch, const Clock& clock) {
  return std::make_shared<ExchangeCredential>(connection, std::move(config), std::move(issuer),
                                              std::move(fetch), clock);
}

}  // namespace sallyport::credential
