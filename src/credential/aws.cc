#include "credential/aws.h"

#include <atomic>
#include <cstdlib>
#include <ctime>

#include "credential/aws_caller.h"
#include "credential/aws_keys.h"
#include "credential/sigv4.h"
#include "credential/wallet.h"

namespace sallyport::credential {
namespace {

constexpr Nanos kSecond = 1'000'000'000;
constexpr Nanos kSkewToCorrect = 240 * kSecond;  // AWS takes 5 minutes

std::string HostField(const net::Origin& origin) {
  std::string host = origin.host;
  if (host.contains(':')) host = '[' + host + ']';
  if (origin.port != (origin.tls ? 443 : 80)) host += ':' + std::to_string(origin.port);
  return host;
}

bool IsSigned(std::string_view name) {
  const auto starts = [&](std::string_view with) {
    return name.size() >= with.size() && net::SameName(name.substr(0, with.size()), with);
  };
  return net::SameName(name, "content-type") || starts("mcp-") || starts("x-amz");
}

/// RFC 9110 section 5.6.7, the one form that is generated.
std::optional<Nanos> ReadHttpDate(std::string_view text) {
  std::tm utc{};
  const std::string z(text);
  const char* rest = ::strptime(z.c_str(), "%a, %d %b %Y %H:%M:%S GMT", &utc);
  if (rest == nullptr || *rest != '\0') return std::nullopt;
  return Nanos(::timegm(&utc)) * kSecond;
}

class SigV4Credential final : public Credential {
 public:
  SigV4Credential(const std::string& connection, SigV4 config, GateIssuer issuer, Fetch fetch,
                  const Clock& clock)
      : config_(std::move(config)),
        issuer_(std::move(issuer)),
        fetch_(std::move(fetch)),
        clock_(clock),
        keys_(
            connection,
            config_.keys.names_caller ? Wallet::Holds::one_for_each_caller
                                      : Wallet::Holds::one_for_all,
            [this](const op::Principal& who, std::stop_token stop) {
              return Obtain(who, std::move(stop));
            },
            clock) {}

  Task<MaterialPtr> Apply(const Outgoing& request, net::Headers& headers) override {
    SALLYPORT_CO_TRY(MaterialPtr key, co_await keys_.For(request));
    SALLYPORT_CO_CHECK(Sign(request, *key, headers));
    co_return key;
  }

  bool Refused(const Outgoing& request, const MaterialPtr& used, int status,
               const net::Headers& answer) override {
    bool other = false;
    const auto date = ReadHttpDate(answer.Find("date").value_or(""));
    if (date) {
      const Nanos off = *date - clock_.WallNow();
      if (std::abs(off - skew_.load()) > kSkewToCorrect) {
        skew_ = off;
        other = true;
      }
    }
    const std::string_view type = answer.Find("x-amzn-errortype").value_or("");
    if (status == 401 || type.contains("Expired") || type.contains("UnrecognizedClient"))
      other = keys_.Refused(request, used) || other;
    return other;
  }

  void Forget(const std::function<bool(const op::Principal&)>& whom) override {
    if (config_.keys.names_caller) keys_.Forget(whom);
  }

 private:
  Result<Material> Obtain(const op::Principal& who, std::stop_token stop) const {
    if (!config_.keys.names_caller)
      return ObtainAwsKey(config_.keys, config_.region, fetch_, clock_, std::move(stop));
    return ObtainAwsKeyFor(who, config_.keys, config_.region, issuer_, fetch_, clock_,
                           std::move(stop));
  }

  Result<> Sign(const Outgoing& request, const Material& material, net::Headers& headers) const {
    const std::string host = HostField(request.url.origin);
    AwsRequest what{.method = request.method,
                    .host = host,
                    .target = request.url.target,
                    .headers = {},
                    .body = request.body};
    for (const auto& [name, value] : headers.fields()) {
      if (IsSigned(name)) what.headers.emplace_back(name, value);
    }
    const AwsKey key{material.id, material.secret, material.session_token};
    SALLYPORT_TRY(AwsSignature made, SignAws(what, key, {config_.region, config_.service},
                                             clock_.WallNow() + skew_.load()));
    headers.Add("X-Amz-Date", std::move(made.date));
    if (!key.session_token.empty())
      headers.Add("X-Amz-Security-Token", std::string(key.session_token.Reveal()));
    headers.Add("Authorization", std::move(made.authorization));
    return {};
  }

  const SigV4 config_;
  const GateIssuer issuer_;
  const Fetch fetch_;
  const Clock& clock_;
  std::atomic<Nanos> skew_{0};  // AWS's clock minus ours
  Wallet keys_;                 // last: its threads use the others
};

}  // namespace

CredentialPtr MakeSigV4(const std::string& connection, SigV4 config, GateIssuer issuer, Fetch fetch,
                        const Clock& clock) {
  return std::make_shared<SigV4Credential>(connection, std::move(config), std::move(issuer),
                                           std::move(fetch), clock);
}

}  // namespace sallyport::credential
