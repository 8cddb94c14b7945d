#include "credential/aws_metadata.h"

#include <algorithm>
#include <array>
#include <cstdlib>

#include "credential/aws_keys.h"
#include "credential/encode.h"
#include "json/document.h"
#include "secrets/source.h"

namespace sallyport::credential {
namespace {

constexpr std::string_view kContainerHost = "http://169.254.170.2";
constexpr std::string_view kInstanceHost = "http://169.254.169.254";
/// Where AWS's services for containers and instances are, on every machine of theirs.
constexpr std::array<std::string_view, 5> kHosts = {
    "169.254.170.2", "169.254.170.23", "fd00:ec2::23", "169.254.169.254", "fd00:ec2::254"};
constexpr size_t kMostBytes = 16'384;

std::unexpected<Error> Failed(std::string detail) {
  return Fail(Errc::upstream_credential_failed, std::move(detail));
}

std::string Variable(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr ? value : "";
}

bool IsField(std::string_view text) {
  return !text.empty() && text.size() <= kMostBytes &&
         std::ranges::all_of(text, [](char c) { return c > ' ' && c < 0x7f; });
}

/// "http://[fd00:ec2::23]:80/v1" → "fd00:ec2::23"
std::string_view HostOf(std::string_view url) {
  const size_t from = url.find("://");
  if (from == url.npos) return {};
  url.remove_prefix(from + 3);
  if (url.starts_with('[')) return url.substr(1, std::min(url.find(']'), url.size()) - 1);
  return url.substr(0, url.find_first_of(":/?#"));
}

FetchRequest Ask(std::string url, std::chrono::milliseconds timeout, std::stop_token stop) {
  FetchRequest request;
  request.url = std::move(url);
  request.allow_loopback_http = true;
  if (std::ranges::find(kHosts, HostOf(request.url)) != kHosts.end())
    request.allow_addresses = {std::string(HostOf(request.url))};
  request.max_body = 64 << 10;
  request.timeout = timeout;
  request.stop = std::move(stop);
  return request;
}

/// What the service answers; `name` is the service's, for people.
Result<std::string> Get(const std::string& name, const FetchRequest& request, const Fetch& fetch) {
  auto answer = fetch(request);
  if (!answer) return Failed(name + ": " + answer.error().detail);
  if (answer->status != 200)
    return Failed(name + " answered HTTP " + std::to_string(answer->status));
  return std::move(answer->body);
}

Result<Material> Keep(const std::string& name, std::string text, const Clock& clock) {
  Nanos end = 0;
  auto made = ReadMetadataKey(text, end);
  explicit_bzero(text.data(), text.size());
  if (!made) return Failed(name + " " + made.error().detail);
  const Nanos now = clock.WallNow();
  if (end <= now) return Failed(name + " gave a key that has expired; check the clock");
  SetTimes(*made, now, end);
  return made;
}

/// The authorization of the container's endpoint; empty: none is wanted.
Result<std::string> ContainerToken() {
  const std::string file = Variable("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE");
  secrets::Ref ref{secrets::Ref::Kind::file, file};
  if (file.empty()) ref = {secrets::Ref::Kind::env, "AWS_CONTAINER_AUTHORIZATION_TOKEN"};
  if (file.empty() && Variable(ref.name.c_str()).empty()) return "";
  const auto token = secrets::Resolve(ref);
  if (!token) return Failed(token.error().detail);
  if (!std::ranges::all_of(token->Reveal(), [](char c) { return c >= ' ' && c < 0x7f; }))
    return Failed("the container's authorization token holds line breaks");
  return std::string(token->Reveal());
}

}  // namespace

bool HasContainerKeys() {
  return !Variable("AWS_CONTAINER_CREDENTIALS_FULL_URI").empty() ||
         !Variable("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI").empty();
}

Result<Material> KeyOfContainer(const Fetch& fetch, const Clock& clock, std::stop_token stop) {
  const std::string name = "the container's credential service";
  const std::string path = Variable("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
  std::string url = Variable("AWS_CONTAINER_CREDENTIALS_FULL_URI");
  if (!path.empty()) {
    if (!path.starts_with('/')) return Failed("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI is no path");
    url = std::string(kContainerHost) + path;
  }
  FetchRequest request = Ask(std::move(url), std::chrono::seconds(2), std::move(stop));
  SALLYPORT_TRY(std::string token, ContainerToken());
  if (!token.empty()) request.headers.emplace_back("authorization", std::move(token));
  SALLYPORT_TRY(std::string text, Get(name, request, fetch));
  return Keep(name, std::move(text), clock);
}

Result<Material> KeyOfInstance(const Fetch& fetch, const Clock& clock, std::stop_token stop) {
  const std::string name = "the instance metadata service";
  if (Variable("AWS_EC2_METADATA_DISABLED") == "true") return Failed(name + " is switched off");
  const std::string other = Variable("AWS_EC2_METADATA_SERVICE_ENDPOINT");
  std::string base(other.empty() ? kInstanceHost : std::string_view(other));
  while (base.ends_with('/')) base.pop_back();
  const auto ask = [&](std::string_view path) {
    return Ask(base + "/latest" + std::string(path), std::chrono::seconds(1), stop);
  };
  FetchRequest session = ask("/api/token");
  session.method = "PUT";
  session.headers.emplace_back("x-aws-ec2-metadata-token-ttl-seconds", "300");
  SALLYPORT_TRY(const std::string token, Get(name, session, fetch));
  if (!IsField(token)) return Failed(name + " gave no session token");

  const std::string_view roles = "/meta-data/iam/security-credentials/";
  FetchRequest list = ask(roles);
  list.headers.emplace_back("x-aws-ec2-metadata-token", token);
  SALLYPORT_TRY(const std::string found, Get(name, list, fetch));
  const std::string role = found.substr(0, found.find_first_of("\r\n"));
  if (!IsField(role) || role.size() > 128) return Failed(name + " names no role");

  FetchRequest key = ask(std::string(roles) + PercentEncode(role));
  key.headers = list.headers;
  SALLYPORT_TRY(std::string text, Get(name, key, fetch));
  return Keep(name, std::move(text), clock);
}

Result<Material> ReadMetadataKey(std::string_view text, Nanos& end) {
  const auto doc = json::Document::Parse(text);
  if (!doc) return Failed("answered with something else than JSON");
  const json::Value root = doc->root();
  // Of the instance's service only, and "Success" where there is a key.
  if (const auto code = root["Code"]; code && code.string() != "Success")
    return Failed("has no key for this role");
  const auto field = [&](std::string_view name) { return root[name].string().value_or(""); };
  Material made;
  made.id = field("AccessKeyId");
  made.secret = Secret(std::string(field("SecretAccessKey")));
  made.session_token = Secret(std::string(field("Token")));
  const auto expiration = ReadAwsTime(field("Expiration"));
  if (!IsField(made.id) || !IsField(made.secret.Reveal()) ||
      !IsField(made.session_token.Reveal()) || !expiration)
    return Failed("answered with something else than a key");
  end = *expiration;
  return made;
}

}  // namespace sallyport::credential
