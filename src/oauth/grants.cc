#include "oauth/grants.h"

#include <algorithm>
#include <utility>

#include "base/bytes.h"
#include "base/ids.h"

namespace sallyport::oauth {
namespace {

using access::DigestToken;

constexpr size_t kMostCodes = 10'000, kMostFamilies = 100'000, kMostConsents = 100'000;
constexpr Nanos kSecond = 1'000'000'000;
/// A used code is remembered so long, for whoever comes second.
constexpr Nanos kRemembered = 600 * kSecond;
constexpr std::string_view kRefreshPrefix = "spr_";
constexpr size_t kHandleBytes = 18, kHandleSize = 24, kSecretSize = 43;

/// "spr_", 24 characters that all tokens of a family share, 43 of its own: so a token that was
/// replaced long ago is still known as one of its family, and nobody else can name the family.
std::string TokenOf(std::string_view handle) {
  return std::string(kRefreshPrefix) + std::string(handle) + NewHandle(32);
}

std::string_view HandleOf(std::string_view token) {
  if (!token.starts_with(kRefreshPrefix) ||
      token.size() != kRefreshPrefix.size() + kHandleSize + kSecretSize)
    return {};
  return token.substr(kRefreshPrefix.size(), kHandleSize);
}

/// RFC 7636 section 4.1.
bool IsVerifier(std::string_view text) {
  return text.size() >= 43 && text.size() <= 128 &&
         text.find_first_not_of(
             "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~") == text.npos;
}

template <class Map, class When>
void MakeRoom(Map& map, size_t most, When when) {
  while (map.size() >= most) {
    map.erase(
        std::ranges::min_element(map, {}, [&](const auto& entry) { return when(entry.second); }));
  }
}

}  // namespace

std::string Challenge(std::string_view verifier) { return Base64UrlEncode(DigestToken(verifier)); }

Grants::Grants(std::shared_ptr<Store> store, const Clock& clock)
    : store_(std::move(store)), clock_(clock) {
  auto loaded = store_->Load();
  if (!loaded) return;
  for (Family& family : loaded->families) families_[family.handle] = std::move(family);
  for (const auto& [digest, until] : loaded->consents) consents_[digest] = until;
}

void Grants::Sweep(Nanos now) {
  std::erase_if(codes_, [&](const auto& entry) { return entry.second.forget_at <= now; });
  std::vector<std::string> over;
  for (auto it = families_.begin(); it != families_.end();) {
    if (it->second.until > now) {
      ++it;
      continue;
    }
    over.push_back(it->second.session);
    it = families_.erase(it);
  }
  const size_t gone = std::erase_if(consents_, [&](const auto& c) { return c.second <= now; });
  if (!over.empty() || gone != 0) store_->Forget(std::move(over), now);
}

std::string Grants::Issue(Granted granted) {
  const Nanos now = clock_.WallNow();
  std::string code = NewHandle(32);
  const std::lock_guard lock(mutex_);
  Sweep(now);
  MakeRoom(codes_, kMostCodes, [](const Code& c) { return c.forget_at; });
  codes_.emplace(DigestToken(code), Code{.granted = std::move(granted),
                                         .until = now + kCodeWithin.count() * kSecond,
                                         .forget_at = now + kRemembered});
  return code;
}

Result<Granted> Grants::Redeem(const Shown& shown, std::string* session) {
  const std::lock_guard lock(mutex_);
  const auto found = codes_.find(DigestToken(shown.code));
  if (found == codes_.end()) return Fail(Errc::state_invalid, "the code is unknown, or too old");
  Code& code = found->second;
  if (std::exchange(code.used, true)) {
    *session = code.session;
    return Fail(Errc::state_invalid, "the code was used before");
  }
  if (code.until <= clock_.WallNow()) return Fail(Errc::state_invalid, "the code is too old");
  if (shown.client != code.granted.client)
    return Fail(Errc::state_invalid, "the code is another client's");
  if (shown.redirect_uri != code.granted.redirect_uri)
    return Fail(Errc::state_invalid, "redirect_uri is not the one that the code was sent to");
  if (!IsVerifier(shown.verifier) || Challenge(shown.verifier) != code.granted.challenge)
    return Fail(Errc::state_invalid, "the verifier is not that of the code");
  return code.granted;
}

void Grants::Redeemed(std::string_view code, std::string session) {
  const std::lock_guard lock(mutex_);
  const auto found = codes_.find(DigestToken(code));
  if (found != codes_.end()) found->second.session = std::move(session);
}

Task<std::string> Grants::Begin(std::string session, std::string client, Nanos until) {
  const std::string handle = NewHandle(kHandleBytes);
  std::string token = TokenOf(handle);
  Family family{.session = std::move(session),
                .client = std::move(client),
                .handle = DigestToken(handle),
                .current = DigestToken(token)};
  family.until = until;
  SALLYPORT_CO_CHECK(co_await store_->Put(family));
  const std::lock_guard lock(mutex_);
  Sweep(clock_.WallNow());
  if (families_.size() >= kMostFamilies)
    co_return Fail(Errc::limit_exceeded, "there are as many refresh tokens as are allowed");
  const access::TokenDigest key = family.handle;
  families_[key] = std::move(family);
  co_return token;
}

Task<Grants::Turn> Grants::Rotate(std::string token, std::string client, std::string* session) {
  const std::string_view handle = HandleOf(token);
  const access::TokenDigest digest = DigestToken(token);
  Turn turn{.session = {}, .token = TokenOf(handle)};
  Family family;
  {
    const Nanos now = clock_.WallNow();
    const std::lock_guard lock(mutex_);
    Sweep(now);
    const auto known = families_.find(DigestToken(handle));
    if (handle.empty() || known == families_.end())
      co_return Fail(Errc::state_invalid, "the refresh token is unknown, or its session is over");
    Family& mine = known->second;
    if (mine.client != client)
      co_return Fail(Errc::state_invalid, "the refresh token is another client's");
    if (digest == mine.current) {
      mine.before = mine.current;
      mine.has_before = true;
      mine.forgiven = false;
      mine.rotated_at = now;
    } else {
      turn.lost = mine.has_before && digest == mine.before && !std::exchange(mine.forgiven, true) &&
                  now >= mine.rotated_at && now - mine.rotated_at < kLostWithin.count() * kSecond;
      if (!turn.lost) {
        *session = mine.session;
        co_return Fail(Errc::token_used, "the refresh token was used before");
      }
    }
    mine.current = DigestToken(turn.token);
    turn.session = mine.session;
    family = mine;
  }
  SALLYPORT_CO_CHECK(co_await store_->Put(std::move(family)));
  co_return turn;
}

std::string Grants::SessionOf(std::string_view token) const {
  const std::lock_guard lock(mutex_);
  const auto known = families_.find(DigestToken(HandleOf(token)));
  return known == families_.end() ? "" : known->second.session;
}

void Grants::Forget(const std::string& session) {
  const std::lock_guard lock(mutex_);
  const size_t gone =
      std::erase_if(families_, [&](const auto& f) { return f.second.session == session; });
  if (gone != 0) store_->Forget({session}, clock_.WallNow());
}

bool Grants::Agreed(const Consent& consent) const {
  const std::lock_guard lock(mutex_);
  const auto found = consents_.find(consent.Digest());
  return found != consents_.end() && found->second > clock_.WallNow();
}

Task<> Grants::Agree(Consent consent) {
  const access::TokenDigest digest = consent.Digest();
  const Nanos until =
      clock_.WallNow() + std::chrono::duration_cast<std::chrono::nanoseconds>(kConsentFor).count();
  SALLYPORT_CO_CHECK(co_await store_->Put(digest, until));
  const std::lock_guard lock(mutex_);
  MakeRoom(consents_, kMostConsents, [](Nanos at) { return at; });
  consents_[digest] = until;
  co_return Result<>{};
}

}  // namespace sallyport::oauth
