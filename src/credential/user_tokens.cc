#include "credential/user_tokens.h"

#include <algorithm>
#include <array>

#include "base/bytes.h"
#include "credential/auth_challenge.h"
#include "credential/encode.h"
#include "json/document.h"
#include "net/http.h"

namespace sallyport::credential {
namespace {

using Auth = UserOAuth::ClientAuth;

constexpr int64_t kLongestLife = 86'400 * 366;  // what a server says beyond is not believed

std::unexpected<Error> Failed(std::string detail) {
  return Fail(Errc::upstream_credential_failed, std::move(detail));
}

bool IsToken(std::string_view text) {
  return !text.empty() && text.size() <= 16'384 &&
         std::ranges::all_of(text, [](char c) { return c > ' ' && c < 0x7f; });
}

/// "invalid_client": only what the standard lists is repeated.
std::string_view CodeOf(std::string_view body) {
  constexpr std::array<std::string_view, 7> kKnown = {
      "invalid_request", "invalid_client", "invalid_grant",         "unauthorized_client",
      "invalid_scope",   "invalid_target", "unsupported_grant_type"};
  const auto doc = json::Document::Parse(body);
  const auto code = doc ? doc->root()["error"].string() : std::nullopt;
  const auto known = code ? std::ranges::find(kKnown, *code) : kKnown.end();
  return known == kKnown.end() ? std::string_view() : *known;
}

void AddClient(FetchRequest& request, const UserClient& client) {
  const std::string id = PercentEncode(client.id), key = PercentEncode(client.secret.Reveal());
  if (client.auth == Auth::basic) {  // RFC 6749 section 2.3.1: encoded before they are joined
    request.headers.emplace_back("authorization", "Basic " + Base64Encode(AsBytes(id + ':' + key)));
    return;
  }
  request.body += "&client_id=" + id;
  if (client.auth == Auth::post) request.body += "&client_secret=" + key;
}

FetchRequest FormTo(const Reach& reach, const std::string& url, const UserClient& client,
                    std::string form, std::stop_token stop) {
  FetchRequest request = RequestTo(reach, url, std::move(stop));
  request.method = "POST";
  request.headers.emplace_back("content-type", "application/x-www-form-urlencoded");
  request.body = std::move(form);
  AddClient(request, client);
  return request;
}

}  // namespace

FetchRequest RequestTo(const Reach& reach, std::string url, std::stop_token stop) {
  FetchRequest request;
  request.url = std::move(url);
  request.headers = {{"accept", "application/json"}};
  request.ca_file = reach.ca.string();
  request.allow_addresses = reach.allow_addresses;
  request.allow_loopback_http = reach.allow_loopback_http;
  request.max_body = 64 << 10;
  request.stop = std::move(stop);
  return request;
}

Result<UserTokens> ReadUserTokens(std::string_view text) {
  const auto doc = json::Document::Parse(text);
  if (!doc) return Failed("the token endpoint answered with something else than JSON");
  const json::Value root = doc->root();
  const auto access = root["access_token"].string(), type = root["token_type"].string();
  if (!access || !IsToken(*access)) return Failed("the token endpoint gave no access_token");
  if (!type || !net::SameName(*type, "bearer")) return Failed("the token is no bearer token");
  UserTokens out;
  out.access = Secret(std::string(*access));
  if (const json::Value refresh = root["refresh_token"]; refresh && !refresh.is(json::Kind::null)) {
    const auto token = refresh.string();
    if (!token || !IsToken(*token)) return Failed("the refresh_token is none");
    out.refresh = Secret(std::string(*token));
  }
  if (const json::Value life = root["expires_in"]; life && !life.is(json::Kind::null)) {
    const int64_t seconds = life.integer().value_or(0);
    if (seconds <= 0) return Failed("the token endpoint gave a token that has expired");
    out.seconds = std::min(seconds, kLongestLife);
  }
  const auto scope = root["scope"].string();
  if (scope && IsScope(*scope)) out.scope = *scope;
  return out;
}

Result<UserTokens> AskForUserTokens(const Reach& reach, const std::string& token_url,
                                    const UserClient& client, std::string grant, const Fetch& fetch,
                                    std::stop_token stop) {
  FetchRequest request = FormTo(reach, token_url, client, std::move(grant), std::move(stop));
  auto answer = fetch(request);
  explicit_bzero(request.body.data(), request.body.size());
  if (!answer) return Failed("token endpoint: " + answer.error().detail);
  if (answer->status != 200) {
    const std::string_view code = CodeOf(answer->body);
    std::string detail = "the token endpoint answered HTTP " + std::to_string(answer->status);
    if (!code.empty()) detail.append(" ").append(code);
    if (code == "invalid_grant") return Fail(Errc::upstream_link_needed, std::move(detail));
    return Failed(std::move(detail));
  }
  auto made = ReadUserTokens(answer->body);
  explicit_bzero(answer->body.data(), answer->body.size());
  return made;
}

void RevokeUserToken(const Reach& reach, const std::string& revocation_url,
                     const UserClient& client, const Secret& token, const Fetch& fetch,
                     std::stop_token stop) {
  if (revocation_url.empty() || token.empty()) return;
  FetchRequest request = FormTo(reach, revocation_url, client,
                                "token=" + PercentEncode(token.Reveal()), std::move(stop));
  (void)fetch(request);
  explicit_bzero(request.body.data(), request.body.size());
}

}  // namespace sallyport::credential
