#include "credential/snowflake.h"

#include <algorithm>

#include "credential/wallet.h"
#include "json/document.h"
#include "policy/who.h"

namespace sallyport::credential {
namespace {

std::unexpected<Error> Failed(std::string detail) {
  return Fail(Errc::upstream_credential_failed, std::move(detail));
}

class SnowflakeCredential final : public Credential {
 public:
  SnowflakeCredential(const std::string& connection, SnowflakeOAuth config, GateIssuer issuer,
                      const Clock& clock)
      : config_(std::move(config)),
        issuer_(std::move(issuer)),
        clock_(clock),
        tokens_(
            connection, Wallet::Holds::one_for_each_caller,
            [this](const op::Principal& who, std::stop_token) { return Obtain(who); }, clock) {}

  Task<MaterialPtr> Apply(const Outgoing& request, net::Headers& headers) override {
    if (request.caller == nullptr) co_return Failed("there is no caller to name");
    // Groups change within a session, so the role is looked up each time.
    SALLYPORT_CO_TRY(const std::string role, SnowflakeRole(config_, request.caller->who));
    SALLYPORT_CO_TRY(MaterialPtr token, co_await tokens_.For(request, role));
    headers.Add("Authorization", "Bearer " + std::string(token->secret.Reveal()));
    headers.Add(std::string(kSnowflakeTokenType), "OAUTH");
    co_return token;
  }

  bool Refused(const Outgoing& request, const MaterialPtr& used, int status,
               const net::Headers&) override {
    if (status != 401 || request.caller == nullptr) return false;
    const auto role = SnowflakeRole(config_, request.caller->who);
    return role && tokens_.Refused(request, used, *role);
  }

  void Forget(const std::function<bool(const op::Principal&)>& whom) override {
    tokens_.Forget(whom);
  }

 private:
  Result<Material> Obtain(const op::Principal& who) const {
    SALLYPORT_TRY(const std::string role, SnowflakeRole(config_, who));
    const std::string& login = config_.login_by_name ? who.name : who.subject;
    ClaimsFor party;
    (config_.login_in_name ? party.name : party.sub) = login;
    party.more = ",\"scp\":" + json::Quote("session:role:" + role);
    const Nanos now = clock_.WallNow();
    const GateJwt token{.audience = config_.account_url, .ttl = config_.ttl};
    SALLYPORT_TRY(std::string made, SignAs(issuer_, ClaimsOf(who, issuer_.url, token, now, party)));
    return KeepToken(std::move(made), config_.ttl, now);
  }

  const SnowflakeOAuth config_;
  const GateIssuer issuer_;
  const Clock& clock_;
  Wallet tokens_;  // last: its threads use the others
};

}  // namespace

Result<std::string> SnowflakeRole(const SnowflakeOAuth& config, const op::Principal& who) {
  // Names and subjects say who somebody is at one provider only.
  if (!config.provider.empty() && who.provider != config.provider)
    return Failed("callers of this provider do not log in at Snowflake");
  if (config.login_by_name && who.name.empty()) return Failed("the caller has no name");
  for (const SnowflakeOAuth::Role& entry : config.roles) {
    for (const std::string& selector : entry.who) {
      if (policy::Speaks(selector, who)) return entry.role;
      if (selector.starts_with("group:") && !who.groups_complete)
        return Failed("the caller's groups are not all known, so neither is the role");
    }
  }
  return Failed("no role at Snowflake is configured for this caller");
}

CredentialPtr MakeSnowflakeOAuth(const std::string& connection, SnowflakeOAuth config,
                                 GateIssuer issuer, const Clock& clock) {
  return std::make_shared<SnowflakeCredential>(connection, std::move(config), std::move(issuer),
                                               clock);
}

}  // namespace sallyport::credential
