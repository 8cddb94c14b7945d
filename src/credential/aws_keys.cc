#include "credential/aws_keys.h"

#include <cstdlib>
#include <ctime>
#include <optional>

#include "credential/aws_metadata.h"
#include "credential/encode.h"

namespace sallyport::credential {
namespace {

constexpr Nanos kSecond = 1'000'000'000;
constexpr std::time_t kLastSecond = 9'000'000'000;  // 2255: still fits in Nanos
constexpr Nanos kReadAgain = 30 * kSecond;
constexpr std::string_view kTokenFile = "AWS_WEB_IDENTITY_TOKEN_FILE", kRole = "AWS_ROLE_ARN";

std::unexpected<Error> Failed(std::string detail) {
  return Fail(Errc::upstream_credential_failed, std::move(detail));
}

bool IsSet(std::string_view variable) {
  const char* value = std::getenv(std::string(variable).c_str());
  return value != nullptr && *value != '\0';
}

std::string Variable(std::string_view name) {
  return IsSet(name) ? std::getenv(std::string(name).c_str()) : "";
}

Result<Secret> Read(const secrets::Ref& ref) {
  auto value = secrets::Resolve(ref);
  if (!value) return Failed(value.error().detail);
  return value;
}

Result<Material> FromEnvironment() {
  Material made;
  made.id = Variable("AWS_ACCESS_KEY_ID");
  if (made.id.empty()) return Failed("environment variable AWS_ACCESS_KEY_ID is not set");
  SALLYPORT_TRY(made.secret, Read({secrets::Ref::Kind::env, "AWS_SECRET_ACCESS_KEY"}));
  if (IsSet("AWS_SESSION_TOKEN")) {
    SALLYPORT_TRY(made.session_token, Read({secrets::Ref::Kind::env, "AWS_SESSION_TOKEN"}));
  }
  return made;
}

Result<Material> FromFile(const std::string& file, const std::string& profile) {
  SALLYPORT_TRY(const Secret text, Read({secrets::Ref::Kind::file, file}));
  auto made = ReadSharedCredentials(text.Reveal(), profile);
  if (!made) return Failed(file + ": " + made.error().detail);
  return made;
}

std::string_view Trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t' || text.back() == '\r'))
    text.remove_suffix(1);
  return text;
}

/// What stands between the only <name> and </name> of `xml`; nothing of it needs unescaping, so
/// whatever would is refused.
std::optional<std::string_view> Element(std::string_view xml, const std::string& name) {
  const std::string open = '<' + name + '>', close = "</" + name + '>';
  const size_t from = xml.find(open);
  if (from == xml.npos || xml.find(open, from + 1) != xml.npos) return std::nullopt;
  const size_t begin = from + open.size(), end = xml.find(close, begin);
  if (end == xml.npos) return std::nullopt;
  return xml.substr(begin, end - begin);
}

std::optional<std::string_view> Word(std::string_view xml, const std::string& name) {
  const auto text = Element(xml, name);
  if (!text || text->empty() || text->size() > 16'384) return std::nullopt;
  for (const char c : *text) {
    const bool fits = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                      std::string_view("+/=-_.:").contains(c);
    if (!fits) return std::nullopt;
  }
  return text;
}

/// The code of an error that STS answered with, for people.
std::string CodeOf(std::string_view xml) {
  const auto code = Word(xml, "Code");
  return code && code->size() <= 64 ? ' ' + std::string(*code) : "";
}

FetchRequest RequestRole(const AwsKeys& keys, const std::string& region,
                         const WebIdentity& identity) {
  FetchRequest request;
  request.url = keys.sts_url.empty() ? "https://sts." + region + ".amazonaws.com/" : keys.sts_url;
  request.method = "POST";
  request.headers = {{"content-type", "application/x-www-form-urlencoded"},
                     {"accept", "application/xml"}};
  request.body = "Action=AssumeRoleWithWebIdentity&Version=2011-06-15&RoleArn=" +
                 PercentEncode(keys.role_arn) +
                 "&RoleSessionName=" + PercentEncode(identity.session_name) +
                 "&DurationSeconds=" + std::to_string(keys.duration.count()) +
                 "&WebIdentityToken=" + PercentEncode(identity.token.Reveal());
  if (!keys.session_policy.empty()) request.body += "&Policy=" + PercentEncode(keys.session_policy);
  for (size_t i = 0; i < keys.session_policy_arns.size(); ++i) {
    request.body += "&PolicyArns.member." + std::to_string(i + 1) +
                    ".arn=" + PercentEncode(keys.session_policy_arns[i]);
  }
  request.ca_file = keys.reach.ca.string();
  request.allow_addresses = keys.reach.allow_addresses;
  request.allow_loopback_http = keys.reach.allow_loopback_http;
  request.max_body = 64 << 10;
  return request;
}

Result<Material> FromWebIdentity(const AwsKeys& keys, const std::string& region, const Fetch& fetch,
                                 const Clock& clock, std::stop_token stop) {
  SALLYPORT_TRY(Secret token, Read(keys.token));
  return AssumeRole(keys, region, {std::move(token), keys.session_name}, fetch, clock,
                    std::move(stop));
}

Result<Material> FromChain(const AwsKeys& keys, const std::string& region, const Fetch& fetch,
                           const Clock& clock, std::stop_token stop) {
  if (IsSet("AWS_ACCESS_KEY_ID")) return FromEnvironment();
  if (IsSet(kTokenFile) && IsSet(kRole)) {
    AwsKeys there = keys;
    there.role_arn = Variable(kRole);
    there.token = {secrets::Ref::Kind::file, Variable(kTokenFile)};
    if (IsSet("AWS_ROLE_SESSION_NAME")) there.session_name = Variable("AWS_ROLE_SESSION_NAME");
    return FromWebIdentity(there, region, fetch, clock, std::move(stop));
  }
  if (IsSet("AWS_SHARED_CREDENTIALS_FILE")) {
    auto made = FromFile(Variable("AWS_SHARED_CREDENTIALS_FILE"),
                         IsSet("AWS_PROFILE") ? Variable("AWS_PROFILE") : "default");
    if (made) made->renew_at = clock.WallNow() + kReadAgain;
    return made;
  }
  if (HasContainerKeys()) return KeyOfContainer(fetch, clock, std::move(stop));
  auto instance = KeyOfInstance(fetch, clock, std::move(stop));
  if (instance) return instance;
  return Failed(
      "no AWS key: none of AWS_ACCESS_KEY_ID, AWS_WEB_IDENTITY_TOKEN_FILE with AWS_ROLE_ARN, "
      "AWS_SHARED_CREDENTIALS_FILE and AWS_CONTAINER_CREDENTIALS_FULL_URI is set; " +
      instance.error().detail);
}

}  // namespace

std::optional<Nanos> ReadAwsTime(std::string_view text) {
  std::tm utc{};
  const std::string z(text);
  const char* rest = ::strptime(z.c_str(), "%Y-%m-%dT%H:%M:%S", &utc);
  if (rest == nullptr || !std::string_view(rest).ends_with('Z')) return std::nullopt;
  const std::time_t seconds = ::timegm(&utc);
  if (seconds < 0 || seconds > kLastSecond) return std::nullopt;
  return Nanos(seconds) * kSecond;
}

Result<Material> AssumeRole(const AwsKeys& keys, const std::string& region,
                            const WebIdentity& identity, const Fetch& fetch, const Clock& clock,
                            std::stop_token stop) {
  FetchRequest request = RequestRole(keys, region, identity);
  request.stop = std::move(stop);
  auto answer = fetch(request);
  explicit_bzero(request.body.data(), request.body.size());
  if (!answer) return Failed("STS: " + answer.error().detail);
  if (answer->status != 200)
    return Failed("STS answered HTTP " + std::to_string(answer->status) + CodeOf(answer->body));
  Nanos end = 0;
  auto made = ReadAssumedRole(answer->body, end);
  explicit_bzero(answer->body.data(), answer->body.size());
  if (!made) return made;
  const Nanos now = clock.WallNow();
  if (end <= now) return Failed("STS gave a key that has expired; check the clock");
  SetTimes(*made, now, end);
  return made;
}

Result<Material> ReadSharedCredentials(std::string_view text, std::string_view profile) {
  Material made;
  bool here = false, found = false;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size());
    const std::string_view line = Trim(text.substr(at, end - at));
    at = end + 1;
    if (line.empty() || line.front() == '#' || line.front() == ';') continue;
    if (line.front() == '[') {
      here = line.back() == ']' && Trim(line.substr(1, line.size() - 2)) == profile;
      found = found || here;
      continue;
    }
    const size_t equals = line.find('=');
    if (!here || equals == line.npos) continue;
    const std::string_view name = Trim(line.substr(0, equals)),
                           value = Trim(line.substr(equals + 1));
    if (name == "aws_access_key_id") made.id = value;
    if (name == "aws_secret_access_key") made.secret = Secret(std::string(value));
    if (name == "aws_session_token") made.session_token = Secret(std::string(value));
  }
  if (!found) return Failed("there is no profile [" + std::string(profile) + "]");
  if (made.id.empty() || made.secret.empty())
    return Failed("the profile has no aws_access_key_id and aws_secret_access_key");
  return made;
}

Result<Material> ReadAssumedRole(std::string_view xml, Nanos& end) {
  const auto credentials = Element(xml, "Credentials");
  const auto inside = credentials.value_or("");
  const auto id = Word(inside, "AccessKeyId"), secret = Word(inside, "SecretAccessKey"),
             token = Word(inside, "SessionToken"), expiration = Word(inside, "Expiration");
  const auto time = expiration ? ReadAwsTime(*expiration) : std::nullopt;
  if (!id || !secret || !token || !time)
    return Failed("STS answered with something else than a key");
  end = *time;
  Material made;
  made.id = *id;
  made.secret = Secret(std::string(*secret));
  made.session_token = Secret(std::string(*token));
  return made;
}

Result<Material> ObtainAwsKey(const AwsKeys& keys, const std::string& region, const Fetch& fetch,
                              const Clock& clock, std::stop_token stop) {
  switch (keys.kind) {
    case AwsKeys::Kind::chain:
      return FromChain(keys, region, fetch, clock, std::move(stop));
    case AwsKeys::Kind::environment:
      return FromEnvironment();
    case AwsKeys::Kind::web_identity:
      if (keys.names_caller) return Failed("there is no caller to name");
      return FromWebIdentity(keys, region, fetch, clock, std::move(stop));
    case AwsKeys::Kind::file:
    case AwsKeys::Kind::keys:
      break;
  }
  Material made;
  if (keys.kind == AwsKeys::Kind::file) {
    SALLYPORT_TRY(made, FromFile(keys.file.string(), keys.profile));
  } else {
    made.id = keys.access_key_id;
    SALLYPORT_TRY(made.secret, Read(keys.secret_access_key));
    if (!keys.session_token.empty()) {
      SALLYPORT_TRY(made.session_token, Read(keys.session_token));
    }
  }
  made.renew_at = clock.WallNow() + kReadAgain;
  return made;
}

}  // namespace sallyport::credential
