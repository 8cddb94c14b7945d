#include "api/logins.h"

#include <boost/asio/post.hpp>
#include <boost/asio/thread_pool.hpp>
#include <utility>

#include "access/digest.h"
#include "base/bytes.h"
#include "base/ids.h"
#include "json/document.h"
#include "net/event.h"
#include "net/fetch.h"

namespace sallyport::api {
namespace {

constexpr size_t kMost = 10'000;
constexpr size_t kThreads = 2;
constexpr size_t kMostWaiting = 64;  // what anybody can ask for delays logins so much at most
constexpr std::chrono::seconds kRunWithin{10};
constexpr Nanos kEndpointsFor = std::chrono::nanoseconds(std::chrono::minutes(10)).count();

std::string Digest(std::string_view text) { return Base64UrlEncode(access::DigestToken(text)); }

template <class Map>
void MakeRoom(Map& map, Nanos now) {
  std::erase_if(map, [&](const auto& entry) { return entry.second.until <= now; });
  while (map.size() >= kMost) {
    auto oldest = map.begin();
    for (auto it = map.begin(); it != map.end(); ++it) {
      if (it->second.until < oldest->second.until) oldest = it;
    }
    map.erase(oldest);
  }
}

}  // namespace

std::string Challenge(std::string_view verifier) { return Digest(verifier); }

Logins::Logins(std::vector<LoginProvider> providers, const Clock& clock)
    : providers_(std::move(providers)), clock_(clock), workers_(kThreads) {}
Logins::~Logins() { Stop(); }

void Logins::Stop() { workers_.Stop(); }

const LoginProvider* Logins::Provider(std::string_view name) const {
  for (const LoginProvider& provider : providers_) {
    if (name.empty() || provider.name == name) return &provider;
  }
  return nullptr;
}

std::string Logins::Begin(Pending pending, std::string_view cookie) {
  const Nanos now = clock_.WallNow();
  std::string state = NewHandle(24);
  pending.browser = Digest(cookie);
  pending.until = now + std::chrono::nanoseconds(kLoginWithin).count();
  const std::lock_guard lock(mutex_);
  if (pending_.size() >= kMost) MakeRoom(pending_, now);
  pending_.emplace(Digest(state), std::move(pending));
  return state;
}

Result<Logins::Pending> Logins::Take(std::string_view state, std::string_view cookie) {
  const std::lock_guard lock(mutex_);
  const auto found = pending_.find(Digest(state));
  if (found == pending_.end() || found->second.until <= clock_.WallNow())
    return Fail(Errc::state_invalid, "this login was not begun here, or took too long");
  if (cookie.empty() || found->second.browser != Digest(cookie))
    return Fail(Errc::state_invalid, "this login was begun in another browser");
  Pending pending = std::move(found->second);
  pending_.erase(found);
  return pending;
}

const LoginProvider* Logins::Asked(std::string_view state) const {
  const std::lock_guard lock(mutex_);
  const auto found = pending_.find(Digest(state));
  if (found == pending_.end() || found->second.until <= clock_.WallNow()) return nullptr;
  return found->second.provider;
}

std::string Logins::Grant(std::string challenge, access::Opening opening) {
  const Nanos now = clock_.WallNow();
  std::string code = NewHandle(24);
  const std::lock_guard lock(mutex_);
  MakeRoom(codes_, now);
  codes_.emplace(Digest(code),
                 Code{.challenge = std::move(challenge),
                      .opening = std::move(opening),
                      .until = now + std::chrono::nanoseconds(kRedeemWithin).count()});
  return code;
}

Result<access::Opening> Logins::Redeem(std::string_view code, std::string_view verifier,
                                       std::string* session) {
  const std::lock_guard lock(mutex_);
  const auto found = codes_.find(Digest(code));
  if (found == codes_.end() || found->second.until <= clock_.WallNow())
    return Fail(Errc::state_invalid, "the code is unknown, or too old");
  Code& entry = found->second;
  if (std::exchange(entry.used, true)) {
    *session = entry.session;
    return Fail(Errc::state_invalid, "the code was used before");
  }
  if (Challenge(verifier) != entry.challenge)
    return Fail(Errc::state_invalid, "the verifier is not that of the code");
  return entry.opening;
}

void Logins::Redeemed(std::string_view code, std::string session) {
  const std::lock_guard lock(mutex_);
  const auto found = codes_.find(Digest(code));
  if (found != codes_.end()) found->second.session = std::move(session);
}

void Logins::Proved(std::string session, Nanos at) {
  const Nanos now = clock_.WallNow();
  const std::lock_guard lock(mutex_);
  MakeRoom(proofs_, now);
  proofs_[std::move(session)] = {.at = at,
                                 .until = now + std::chrono::nanoseconds(kLoginWithin).count()};
}

Nanos Logins::ProvedAt(std::string_view session) const {
  const std::lock_guard lock(mutex_);
  const auto found = proofs_.find(session);
  return found == proofs_.end() ? 0 : found->second.at;
}

Task<> Logins::Run(std::function<void()> work) {
  if (*waiting_ >= kMostWaiting)
    co_return Fail(Errc::limit_exceeded, "too many logins at once; try again in a moment");
  ++*waiting_;
  co_return co_await workers_.Run(
      [waiting = waiting_, work = std::move(work)] {
        work();
        --*waiting;
      },
      kRunWithin);
}

Task<FetchResponse> Logins::Fetch(const LoginProvider& provider, FetchRequest request) {
  request.ca_file = provider.ca_file;
  request.allow_addresses = provider.allow_addresses;
  request.allow_loopback_http = provider.allow_loopback_http;
  return workers_.Fetch(std::move(request));
}

Task<ProviderEndpoints> Logins::Discover(const LoginProvider& provider) {
  {
    const std::lock_guard lock(mutex_);
    const auto known = endpoints_.find(provider.issuer);
    if (known != endpoints_.end() && known->second.first > clock_.WallNow())
      co_return known->second.second;
  }
  std::string base = provider.issuer;
  while (base.ends_with('/')) base.pop_back();
  FetchRequest request;
  request.url = base + "/.well-known/openid-configuration";
  const auto down = Fail(Errc::identity_provider_down, "the identity provider cannot be reached");
  const auto response = co_await Fetch(provider, std::move(request));
  if (!response || response->status != 200) co_return down;
  const auto document = json::Document::Parse(response->body);
  if (!document || document->root()["issuer"].string() != provider.issuer) co_return down;
  ProviderEndpoints endpoints;
  const auto get = [&](const char* name) {
    return std::string(document->root()[name].string().value_or(""));
  };
  endpoints.authorization = get("authorization_endpoint");
  endpoints.token = get("token_endpoint");
  endpoints.userinfo = get("userinfo_endpoint");
  endpoints.end_session = get("end_session_endpoint");
  if (endpoints.authorization.empty() || endpoints.token.empty()) co_return down;
  const std::lock_guard lock(mutex_);
  endpoints_[provider.issuer] = {clock_.WallNow() + kEndpointsFor, endpoints};
  co_return endpoints;
}

}  // namespace sallyport::api
