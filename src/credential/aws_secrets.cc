#include "credential/aws_secrets.h"

#include <algorithm>
#include <array>

#include "json/document.h"

namespace sallyport::credential {
namespace {

constexpr std::array<std::string_view, 4> kNo = {"ResourceNotFoundException",
                                                 "AccessDeniedException", "InvalidRequestException",
                                                 "DecryptionFailure"};

}  // namespace

AwsSecretsClient::AwsSecretsClient(AwsSecrets config, Fetch fetch, const Clock& clock)
    : client_({.name = "secretsmanager",
               .target = "secretsmanager",
               .region = std::move(config.region),
               .url = std::move(config.url),
               .keys = std::move(config.keys),
               .reach = std::move(config.reach)},
              std::move(fetch), clock) {}

Result<SecretMembers> AwsSecretsClient::Read(const secrets::Ref& ref, std::stop_token stop) {
  auto answer = client_.Call("GetSecretValue", "{\"SecretId\":" + json::Quote(ref.name) + "}",
                             std::move(stop), ref.region);
  if (!answer) return Fail(answer.error().code, "AWS Secrets Manager: " + answer.error().detail);
  if (answer->status == 200) {
    auto read = ReadSecretValue(answer->body);
    explicit_bzero(answer->body.data(), answer->body.size());
    if (!read) return Fail(read.error().code, secrets::Describe(ref) + ": " + read.error().detail);
    return read;
  }
  const std::string name = AwsErrorName(answer->body);
  const bool no = std::ranges::find(kNo, name) != kNo.end();
  return Fail(no ? Errc::not_found : Errc::upstream_protocol,
              secrets::Describe(ref) + ": AWS answered HTTP " + std::to_string(answer->status) +
                  (no || AwsRefusesKey(name) ? ' ' + name : ""));
}

}  // namespace sallyport::credential
