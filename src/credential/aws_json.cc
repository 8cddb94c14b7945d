#include "credential/aws_json.h"

#include <algorithm>
#include <array>

#include "credential/aws_keys.h"
#include "credential/sigv4.h"
#include "credential/store_answers.h"
#include "net/http_client.h"

namespace sallyport::credential {
namespace {

constexpr std::string_view kType = "application/x-amz-json-1.1";
constexpr std::array<std::string_view, 4> kBadKey = {
    "ExpiredTokenException", "UnrecognizedClientException", "InvalidClientTokenId",
    "InvalidSignatureException"};

}  // namespace

bool AwsRefusesKey(std::string_view error_name) {
  return std::ranges::find(kBadKey, error_name) != kBadKey.end();
}

Result<MaterialPtr> AwsJsonClient::Key(const MaterialPtr& refused, std::stop_token stop) {
  const std::lock_guard lock(mutex_);
  if (key_ == refused) key_ = nullptr;
  const Nanos now = clock_.WallNow();
  if (key_ && (key_->renew_at == 0 || now < key_->renew_at)) return key_;
  auto made = ObtainAwsKey(service_.keys, service_.region, fetch_, clock_, std::move(stop));
  if (made) {
    key_ = std::make_shared<const Material>(std::move(*made));
  } else if (!key_ || (key_->unusable_at != 0 && now >= key_->unusable_at)) {
    return std::unexpected(made.error());
  }
  return key_;
}

Result<FetchResponse> AwsJsonClient::Send(std::string_view operation, std::string_view body,
                                          const std::string& region, const Material& key,
                                          size_t max_body, std::stop_token stop) const {
  FetchRequest request;
  request.url = service_.url.empty() ? "https://" + service_.name + "." + region + ".amazonaws.com/"
                                     : service_.url;
  SALLYPORT_TRY(const net::Url url, net::ParseUrl(request.url));
  request.method = "POST";
  request.body = body;
  const std::string target = service_.target + "." + std::string(operation);
  request.headers = {{"content-type", std::string(kType)}, {"x-amz-target", target}};
  const std::string host = url.origin.port == (url.origin.tls ? 443 : 80)
                               ? url.origin.host
                               : url.origin.host + ':' + std::to_string(url.origin.port);
  const AwsRequest what{.method = request.method,
                        .host = host,
                        .target = url.target,
                        .headers = {{"content-type", kType}, {"x-amz-target", target}},
                        .body = request.body};
  SALLYPORT_TRY(const AwsSignature made,
                SignAws(what, AwsKey{key.id, key.secret, key.session_token},
                        {region, service_.name}, clock_.WallNow()));
  request.headers.emplace_back("x-amz-date", made.date);
  if (!key.session_token.empty())
    request.headers.emplace_back("x-amz-security-token", key.session_token.Reveal());
  request.headers.emplace_back("authorization", made.authorization);
  request.ca_file = service_.reach.ca.string();
  request.allow_addresses = service_.reach.allow_addresses;
  request.allow_loopback_http = service_.reach.allow_loopback_http;
  request.max_body = max_body;
  request.stop = std::move(stop);
  return fetch_(request);
}

Result<FetchResponse> AwsJsonClient::Call(std::string_view operation, std::string_view body,
                                          std::stop_token stop, const std::string& region,
                                          size_t max_body) {
  MaterialPtr used;
  for (int attempt = 0;; ++attempt) {
    SALLYPORT_TRY(const MaterialPtr key, Key(used, stop));
    SALLYPORT_TRY(
        FetchResponse answer,
        Send(operation, body, region.empty() ? service_.region : region, *key, max_body, stop));
    if (answer.status == 200 || attempt > 0 || !AwsRefusesKey(AwsErrorName(answer.body)))
      return answer;
    used = key;
  }
}

}  // namespace sallyport::credential
