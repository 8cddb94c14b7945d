#include "api/oauth_server.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <openssl/crypto.h>

#include "access/digest.h"
#include "base/ids.h"
#include "oauth/registration.h"

namespace sallyport::api {
namespace {

using nlohmann::ordered_json;

constexpr size_t kMostWaiting = 4'000;
constexpr Nanos kWindow = Nanos(600) * 1'000'000'000;
constexpr uint32_t kMostRegistrations = 2'000, kMostOfAddress = 20;

std::map<std::string, oauth::Client, std::less<>> ClientsOf(const oauth::Config& config) {
  std::map<std::string, oauth::Client, std::less<>> out;
  for (const oauth::ClientConfig& given : config.clients) {
    oauth::Client client{.kind = oauth::Client::Kind::configured,
                         .id = given.id,
                         .label = given.id,
                         .name = given.name.empty() ? given.id : given.name};
    for (const std::string& uri : given.redirect_uris) {
      if (auto parsed = oauth::RedirectUri::Parse(uri, true))
        client.redirects.push_back(std::move(*parsed));
    }
    out.emplace(given.id, std::move(client));
  }
  return out;
}

}  // namespace

OauthServer::OauthServer(Options options)
    : options_(std::move(options)),
      configured_(ClientsOf(options_.config)),
      grants_(options_.store, options_.clock),
      documents_(options_.config, options_.clock) {}
OauthServer::~OauthServer() = default;

std::optional<OauthServer::Resource> OauthServer::ResourceOf(std::string_view resource) const {
  const std::string& gate = options_.public_url;
  if (!resource.starts_with(gate)) return std::nullopt;
  std::string_view rest = resource.substr(gate.size());
  if (rest.empty() || rest == "/") return Resource{gate + "/mcp/", ""};
  if (!rest.starts_with("/mcp/")) return std::nullopt;
  rest.remove_prefix(5);
  if (std::ranges::find(options_.connections, rest) == options_.connections.end())
    return std::nullopt;
  return Resource{std::string(resource), std::string(rest)};
}

Result<oauth::Client> OauthServer::Find(std::string_view client_id) const {
  const auto known = configured_.find(client_id);
  if (known != configured_.end()) return known->second;
  if (options_.config.registration && oauth::IsRegistration(client_id))
    return oauth::OpenRegistration(options_.sealer, client_id);
  if (OauthDocuments::IsUrl(client_id)) return documents_.Find(client_id);
  return Fail(Errc::not_found, "no client of this client_id is known here");
}

Result<std::string> OauthServer::Register(const oauth::ClientMetadata& metadata) const {
  return oauth::Register(options_.sealer, metadata);
}

Result<> OauthServer::TakeRegistration(std::string_view address) {
  const Nanos now = options_.clock.WallNow();
  std::string whose(address);
  if (address.find(':') != address.npos) {  // what one has of IPv6 is a /64
    size_t at = 0;
    for (int i = 0; i < 4 && at != whose.npos; ++i) at = whose.find(':', at + (i > 0 ? 1 : 0));
    whose.resize(std::min(at, whose.size()));
  }
  const std::lock_guard lock(mutex_);
  if (now < registering_since_ || now - registering_since_ > kWindow) {
    registering_.clear();
    registered_ = 0;
    registering_since_ = now;
  }
  if (registered_ >= kMostRegistrations || registering_[whose] >= kMostOfAddress)
    return Fail(Errc::rate_limited, "too many clients have registered themselves lately");
  ++registered_;
  ++registering_[whose];
  return {};
}

Result<> OauthServer::CheckSecret(const std::string& client_id,
                                  const std::optional<std::string>& secret) const {
  const auto own = options_.secrets.find(client_id);
  if (own == options_.secrets.end()) {
    if (!secret || secret->empty()) return {};
    return Fail(Errc::token_claims_invalid, "the client has no secret");
  }
  if (!secret) return Fail(Errc::token_missing, "the client has to show its secret");
  // Digests have one length: nothing is learned from the time that it takes.
  const auto a = access::DigestToken(*secret), b = access::DigestToken(own->second.Reveal());
  if (CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0) return {};
  return Fail(Errc::token_claims_invalid, "the secret is not the client's");
}

std::string OauthServer::Keep(std::string query) {
  const Nanos now = options_.clock.WallNow();
  std::string handle = NewHandle(24);
  const std::lock_guard lock(mutex_);
  std::erase_if(waiting_, [&](const auto& entry) { return entry.second.until <= now; });
  while (waiting_.size() >= kMostWaiting) {
    waiting_.erase(std::ranges::min_element(waiting_, {},
                                            [](const auto& entry) { return entry.second.until; }));
  }
  waiting_[handle] = {
      .query = std::move(query),
      .until = now + std::chrono::duration_cast<std::chrono::nanoseconds>(kDecideWithin).count()};
  return handle;
}

std::optional<std::string> OauthServer::Kept(std::string_view handle) const {
  const std::lock_guard lock(mutex_);
  const auto found = waiting_.find(handle);
  if (found == waiting_.end() || found->second.until <= options_.clock.WallNow())
    return std::nullopt;
  return found->second.query;
}

bool OauthServer::Drop(std::string_view handle) {
  const std::lock_guard lock(mutex_);
  const auto found = waiting_.find(handle);
  if (found == waiting_.end()) return false;
  waiting_.erase(found);
  return true;
}

std::string KnownScopes(std::string_view asked) {
  bool read = false, write = false;
  while (!asked.empty()) {
    const std::string_view word = asked.substr(0, asked.find(' '));
    asked.remove_prefix(std::min(word.size() + 1, asked.size()));
    read |= word == kScopeRead;
    write |= word == kScopeWrite;
  }
  return std::string(read && !write ? kScopeRead : kAllScopes);
}

access::Opening OpeningOf(const OauthServer& server, const oauth::Client& client,
                          const OauthServer::Resource& target, const std::string& scope) {
  access::Opening opening{.who = {},
                          .kind = "mcp",
                          .reason = "MCP client " + client.label,
                          .scope = scope == kScopeRead ? "effect=read" : "",
                          .client = client.name,
                          .resource = target.bound};
  opening.token_lasts = server.config().access_token;
  if (!server.config().refresh) opening.lasts = server.config().access_token;
  return opening;
}

Reply OauthProblem(const Error& error, std::string_view oauth) {
  Reply reply = Problem(error);
  ordered_json body = ordered_json::parse(reply.body);
  body["error"] = oauth;
  if (reply.status < 500 && !error.detail.empty()) body["error_description"] = error.detail;
  reply.body = body.dump(-1, ' ', false, ordered_json::error_handler_t::replace);
  if (reply.status >= 500 || reply.status == 429) return reply;
  reply.status = 400;
  reply.headers.Remove("WWW-Authenticate");
  return reply;
}

Error RecordRefusal(const Visit& visit, std::string_view method, const Error& error,
                    const op::Principal* who, std::string_view about) {
  op::AccessEvidence access;
  access.whom = who;
  if (!about.empty()) access.why = visit.parts.mask(about).text;
  op::Evidence e;
  e.type = op::EventType::auth_failure;
  e.address = visit.request().address;
  e.method = method;
  e.reason = error.code;
  e.ok = false;
  if (who != nullptr || !about.empty()) e.access = &access;
  const auto recorded = visit.parts.gate.Record(std::move(e));
  return recorded ? error : recorded.error();
}

}  // namespace sallyport::api
