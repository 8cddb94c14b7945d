#include "credential/gate_jwt.h"

#include <algorithm>

#include "base/ids.h"
#include "credential/wallet.h"
#include "json/document.h"

namespace sallyport::credential {
namespace {

constexpr Nanos kSecond = 1'000'000'000;

class GateJwtCredential final : public Credential {
 public:
  GateJwtCredential(const std::string& connection, GateJwt config, GateIssuer issuer,
                    const Clock& clock)
      : config_(std::move(config)),
        issuer_(std::move(issuer)),
        clock_(clock),
        tokens_(
            connection, Wallet::Holds::one_for_each_caller,
            [this](const op::Principal& who, std::stop_token) { return Obtain(who); }, clock) {}

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
  Result<Material> Obtain(const op::Principal& who) const {
    const Nanos now = clock_.WallNow();
    SALLYPORT_TRY(std::string token, SignAs(issuer_, ClaimsOf(who, issuer_.url, config_, now)));
    return KeepToken(std::move(token), config_.ttl, now);
  }

  const GateJwt config_;
  const GateIssuer issuer_;
  const Clock& clock_;
  Wallet tokens_;  // last: its threads use the others
};

}  // namespace

Material KeepToken(std::string token, std::chrono::seconds life, Nanos now) {
  Material made;
  made.secret = Secret(std::move(token));
  const Nanos end = now + life.count() * kSecond;
  SetTimes(made, now, end);
  made.renew_at = std::min(made.renew_at, now + (end - now) / 2);
  return made;
}

Result<std::string> SignAs(const GateIssuer& issuer, std::string_view claims) {
  auto token = issuer.keys->Sign(claims);
  if (token) return token;
  return Fail(Errc::upstream_credential_failed,
              "the token cannot be signed: " + token.error().detail);
}

std::string ClaimsOf(const op::Principal& who, std::string_view issuer, const GateJwt& config,
                     Nanos now) {
  return ClaimsOf(who, issuer, config, now, {});
}

std::string ClaimsOf(const op::Principal& who, std::string_view issuer, const GateJwt& config,
                     Nanos now, const ClaimsFor& party) {
  const auto text = [](std::string_view key, std::string_view value) {
    return "," + json::Quote(key) + ":" + json::Quote(value);
  };
  const int64_t seconds = now / kSecond;
  const std::string name = party.name.value_or(who.name);
  std::string out = "{\"iss\":" + json::Quote(issuer);
  out += text("aud", config.audience) +
         text("sub", party.sub.value_or(who.provider + ':' + who.subject));
  out += ",\"iat\":" + std::to_string(seconds) +
         ",\"exp\":" + std::to_string(seconds + config.ttl.count()) + text("jti", NewHandle(12));
  if (!name.empty()) out += text("name", name);
  out += ",\"idp\":{\"iss\":" + json::Quote(who.issuer) + text("sub", who.subject) + "}";
  if (!who.agent.empty()) {
    out += ",\"act\":{\"sub\":" + json::Quote("agent:" + who.agent) + "}";
  } else if (!who.client_id.empty() && who.client_id != who.subject) {
    out += ",\"act\":{\"sub\":" + json::Quote("client:" + who.client_id) + "}";
  }
  return out + party.more + "}";
}

CredentialPtr MakeGateJwt(const std::string& connection, GateJwt config, GateIssuer issuer,
                          const Clock& clock) {
  return std::make_shared<GateJwtCredential>(connection, std::move(config), std::move(issuer),
                                             clock);
}

}  // namespace sallyport::credential
