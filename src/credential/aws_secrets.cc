#include "credential/aws_secrets.h"

#include <algorithm>
#include <array>

#include "credential/aws_keys.h"
#include "credential/sigv4.h"
#include "json/document.h"
#include "net/http_client.h"

namespace sallyport::credential {
namespace {

constexpr std::string_view kTarget = "secretsmanager.GetSecretValue";
constexpr std::string_view kType = "application/x-amz-json-1.1";
constexpr std::array<std::string_view, 4> kNo = {"ResourceNotFoundException",
                                                 "AccessDeniedException", "InvalidRequestException",
                                                 "DecryptionFailure"};
constexpr std::array<std::string_view, 4> kBadKey = {
    "ExpiredTokenException", "UnrecognizedClientException", "InvalidClientTokenId",
    "InvalidSignatureException"};

bool IsOne(const std::array<std::string_view, 4>& names, std::string_view name) {
  return std::ranges::find(names, name) != names.end();
}

}  // namespace

Result<MaterialPtr> AwsSecretsClient::Key(const MaterialPtr& refused, std::stop_token stop) {
  const std::lock_guard lock(mutex_);
  if (key_ == refused) key_ = nullptr;
  const Nanos now = clock_.WallNow();
  if (key_ && (key_->renew_at == 0 || now < key_->renew_at)) return key_;
  auto made = ObtainAwsKey(config_.keys, config_.region, fetch_, clock_, std::move(stop));
  if (made) {
    key_ = std::make_shared<const Material>(std::move(*made));
  } else if (!key_ || (key_->unusable_at != 0 && now >= key_->unusable_at)) {
    return std::unexpected(made.error());
  }
  return key_;
}

Result<FetchResponse> AwsSecretsClient::Send(const secrets::Ref& ref, const Material& key,
                                             std::stop_token stop) const {
  const std::string region = ref.region.empty() ? config_.region : ref.region;
  FetchRequest request;
  request.url =
      config_.url.empty() ? "https://secretsmanager." + region + ".amazonaws.com/" : config_.url;
  SALLYPORT_TRY(const net::Url url, net::ParseUrl(request.url));
  request.method = "POST";
  request.body = "{\"SecretId\":" + json::Quote(ref.name) + "}";
  request.headers = {{"content-type", std::string(kType)}, {"x-amz-target", std::string(kTarget)}};
  const std::string host = url.origin.port == (url.origin.tls ? 443 : 80)
                               ? url.origin.host
                               : url.origin.host + ':' + std::to_string(url.origin.port);
  const AwsRequest what{.method = request.method,
                        .host = host,
                        .target = url.target,
                        .headers = {{"content-type", kType}, {"x-amz-target", kTarget}},
                        .body = request.body};
  SALLYPORT_TRY(const AwsSignature made,
                SignAws(what, AwsKey{key.id, key.secret, key.session_token},
                        {region, "secretsmanager"}, clock_.WallNow()));
  request.headers.emplace_back("x-amz-date", made.date);
  if (!key.session_token.empty())
    request.headers.emplace_back("x-amz-security-token", key.session_token.Reveal());
  request.headers.emplace_back("authorization", made.authorization);
  request.ca_file = config_.reach.ca.string();
  request.allow_addresses = config_.reach.allow_addresses;
  request.allow_loopback_http = config_.reach.allow_loopback_http;
  request.max_body = 256 << 10;
  request.stop = std::move(stop);
  auto answer = fetch_(request);
  if (!answer) return Fail(answer.error().code, "AWS Secrets Manager: " + answer.error().detail);
  return answer;
}

Result<SecretMembers> AwsSecretsClient::Read(const secrets::Ref& ref, std::stop_token stop) {
  MaterialPtr used;
  for (int attempt = 0;; ++attempt) {
    SALLYPORT_TRY(const MaterialPtr key, Key(used, stop));
    SALLYPORT_TRY(FetchResponse answer, Send(ref, *key, stop));
    if (answer.status == 200) {
      auto read = ReadSecretValue(answer.body);
      explicit_bzero(answer.body.data(), answer.body.size());
      if (!read)
        return Fail(read.error().code, secrets::Describe(ref) + ": " + read.error().detail);
      return read;
    }
    const std::string name = AwsErrorName(answer.body);
    if (attempt == 0 && IsOne(kBadKey, name)) {
      used = key;
      continue;
    }
    const bool known = IsOne(kNo, name) || IsOne(kBadKey, name);
    return Fail(IsOne(kNo, name) ? Errc::not_found : Errc::upstream_protocol,
                secrets::Describe(ref) + ": AWS answered HTTP " + std::to_string(answer.status) +
                    (known ? ' ' + name : ""));
  }
}

}  // namespace sallyport::credential
