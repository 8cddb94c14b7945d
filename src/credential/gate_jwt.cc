#include "credential/gate_jwt.h"

#include <mutex>
#include <unordered_map>

#include "base/ids.h"
#include "json/document.h"

namespace sallyport::credential {
namespace {

constexpr Nanos kSecond = 1'000'000'000;
constexpr Nanos kTrust = 2 * kSecond;  // what is younger is not made again because it is refused
constexpr size_t kMost = 10'000;       // callers whose tokens are kept

class GateJwtCredential final : public Credential {
 public:
  GateJwtCredential(GateJwt config, GateIssuer issuer, const Clock& clock)
      : config_(std::move(config)), issuer_(std::move(issuer)), clock_(clock) {}

  Task<MaterialPtr> Apply(const Outgoing& request, net::Headers& headers) override {
    if (request.caller == nullptr)
      co_return Fail(Errc::upstream_credential_failed, "there is no caller to name");
    SALLYPORT_CO_TRY(MaterialPtr token, TokenFor(request.caller->who));
    headers.Add("Authorization", "Bearer " + std::string(token->secret.Reveal()));
    co_return token;
  }

  bool Refused(const Outgoing& request, const MaterialPtr& used, int status,
               const net::Headers&) override {
    if (status != 401 || clock_.WallNow() - used->obtained_at < kTrust) return false;
    const std::lock_guard lock(mutex_);
    const auto at = tokens_.find(CallerKey(request.caller->who));
    if (at != tokens_.end() && at->second == used) tokens_.erase(at);
    return true;
  }

 private:
  Result<MaterialPtr> TokenFor(const op::Principal& who) {
    const std::string key = CallerKey(who);
    const Nanos now = clock_.WallNow();
    {
      const std::lock_guard lock(mutex_);
      const auto at = tokens_.find(key);
      if (at != tokens_.end() && now < at->second->renew_at && now >= at->second->obtained_at)
        return at->second;
    }
    auto token = issuer_.keys->Sign(ClaimsOf(who, issuer_.url, config_, now));
    if (!token) return Fail(Errc::upstream_credential_failed, "the token cannot be signed");
    auto made = std::make_shared<Material>();
    made->secret = Secret(std::move(*token));
    made->obtained_at = now;
    made->renew_at = now + config_.ttl.count() * kSecond / 2;
    const std::lock_guard lock(mutex_);
    if (tokens_.size() >= kMost) tokens_.clear();
    tokens_[key] = made;
    return made;
  }

  const GateJwt config_;
  const GateIssuer issuer_;
  const Clock& clock_;
  std::mutex mutex_;
  std::unordered_map<std::string, MaterialPtr> tokens_;
};

}  // namespace

std::string CallerKey(const op::Principal& who) {
  return who.issuer + '\n' + who.subject + '\n' + who.agent + '\n' + who.client_id + '\n' +
         who.name;
}

std::string ClaimsOf(const op::Principal& who, std::string_view issuer, const GateJwt& config,
                     Nanos now) {
  const auto text = [](std::string_view key, std::string_view value) {
    return "," + json::Quote(key) + ":" + json::Quote(value);
  };
  const int64_t seconds = now / kSecond;
  std::string out = "{\"iss\":" + json::Quote(issuer);
  out += text("aud", config.audience) + text("sub", who.provider + ':' + who.subject);
  out += ",\"iat\":" + std::to_string(seconds) +
         ",\"exp\":" + std::to_string(seconds + config.ttl.count()) + text("jti", NewHandle(12));
  if (!who.name.empty()) out += text("name", who.name);
  out += ",\"idp\":{\"iss\":" + json::Quote(who.issuer) + text("sub", who.subject) + "}";
  if (!who.agent.empty()) {
    out += ",\"act\":{\"sub\":" + json::Quote("agent:" + who.agent) + "}";
  } else if (!who.client_id.empty() && who.client_id != who.subject) {
    out += ",\"act\":{\"sub\":" + json::Quote("client:" + who.client_id) + "}";
  }
  return out + "}";
}

CredentialPtr MakeGateJwt(GateJwt config, GateIssuer issuer, const Clock& clock) {
  return std::make_shared<GateJwtCredential>(std::move(config), std::move(issuer), clock);
}

}  // namespace sallyport::credential
