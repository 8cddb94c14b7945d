#include "credential/exchange.h"

#include <mutex>
#include <unordered_map>

#include "credential/encode.h"
#include "credential/oauth.h"
#include "credential/renewal.h"

namespace sallyport::credential {
namespace {

constexpr size_t kThreads = 4;
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
        tokens_(connection, clock, kThreads) {
    const OAuth& server = config_.server;
    subject_.audience = !config_.subject_audience.empty() ? config_.subject_audience
                        : !server.issuer.empty()          ? server.issuer
                                                          : server.token_url;
    subject_.ttl = kSubjectLife;
  }

  Task<MaterialPtr> Apply(const Outgoing& request, net::Headers& headers) override {
    if (request.caller == nullptr)
      co_return Fail(Errc::upstream_credential_failed, "there is no caller to stand for");
    const op::Principal& who = request.caller->who;
    const std::string key = KeyOf(who);
    const Renewal::Obtain obtain = [this, who](std::stop_token stop) {
      return Obtain(who, std::move(stop));
    };
    Remember(key, who);
    MaterialPtr token = tokens_.Known(key, obtain);
    if (!token) {
      SALLYPORT_CO_TRY(token, co_await tokens_.Get(key, obtain));
    }
    headers.Add("Authorization", "Bearer " + std::string(token->secret.Reveal()));
    co_return token;
  }

  bool Refused(const Outgoing& request, const MaterialPtr& used, int status,
               const net::Headers&) override {
    return status == 401 && request.caller != nullptr &&
           tokens_.Refused(KeyOf(request.caller->who), used);
  }

  void Forget(const std::function<bool(const op::Principal&)>& whom) override {
    const std::lock_guard lock(mutex_);
    std::erase_if(callers_, [&](const auto& caller) {
      if (!whom(caller.second)) return false;
      tokens_.Forget(caller.first);
      return true;
    });
  }

 private:
  static std::string KeyOf(const op::Principal& who) { return CallerKey(who) + '\n' + who.session; }

  void Remember(const std::string& key, const op::Principal& who) {
    const std::lock_guard lock(mutex_);
    // Those beyond are still kept apart, but live until their own end.
    if (callers_.size() < Renewal::kMost) callers_.try_emplace(key, who);
  }

  Result<Material> Obtain(const op::Principal& who, std::stop_token stop) const {
    auto subject = issuer_.keys->Sign(ClaimsOf(who, issuer_.url, subject_, clock_.WallNow()));
    if (!subject) return Fail(Errc::upstream_credential_failed, "the token cannot be signed");
    std::string grant = std::string(kGrant) + PercentEncode(*subject);
    if (!config_.audience.empty()) grant += "&audience=" + PercentEncode(config_.audience);
    return RequestToken(config_.server, std::move(grant), fetch_, clock_, std::move(stop));
  }

  const Exchange config_;
  const GateIssuer issuer_;
  const Fetch fetch_;
  const Clock& clock_;
  GateJwt subject_;
  std::mutex mutex_;
  std::unordered_map<std::string, op::Principal> callers_;  // by key
  Renewal tokens_;                                          // last: its threads use the others
};

}  // namespace

CredentialPtr MakeExchange(const std::string& connection, Exchange config, GateIssuer issuer,
                           Fetch fetch, const Clock& clock) {
  return std::make_shared<ExchangeCredential>(connection, std::move(config), std::move(issuer),
                                              std::move(fetch), clock);
}

}  // namespace sallyport::credential
