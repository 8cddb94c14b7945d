#include "api/saml_logins.h"

#include <utility>

#include "access/digest.h"
#include "api/logins.h"
#include "base/bytes.h"
#include "obs/log.h"

namespace sallyport::api {
namespace {

constexpr size_t kMostHeld = 16 << 20;  // bytes of all answers that wait
constexpr Nanos kHoldFor = Nanos(60) * 1'000'000'000;
constexpr size_t kMostSeen = 100'000;
constexpr Nanos kMinute = Nanos(60) * 1'000'000'000;
constexpr Nanos kMessageLasts = 10 * kMinute;  // saml/logout.cc takes none that is older
constexpr Nanos kNameLasts = 24 * 60 * kMinute;

std::string Digest(std::string_view text) { return Base64UrlEncode(access::DigestToken(text)); }

}  // namespace

struct SamlLogins::Shared {
  Shared(saml::Verifier v, const Clock& c) : verifier(std::move(v)), clock(c) {}

  struct Known {
    std::string text;  // that the metadata was read from
    saml::Metadata metadata;
  };
  struct Held {
    std::string response;
    Nanos until = 0;
  };

  Result<saml::Metadata> Read(const LoginProvider& provider) {
    auto text = provider.saml->metadata();
    const std::lock_guard lock(metadata_mutex);
    const auto found = known.find(provider.name);
    if (text && found != known.end() && found->second.text == *text) return found->second.metadata;
    auto fresh = text ? verifier.Read(*text, clock.WallNow())
                      : Result<saml::Metadata>(std::unexpected(text.error()));
    if (fresh) {
      known[provider.name] = {.text = std::move(*text), .metadata = *fresh};
      return fresh;
    }
    obs::Log(obs::Level::error, "saml.metadata_unusable",
             {{"provider", provider.name},
              {"reason", ReasonCode(fresh.error().code)},
              {"detail", fresh.error().detail}});
    // What has run out has: only a text that says nothing leaves the last word in force.
    if (found != known.end() && fresh.error().code != Errc::token_expired)
      return found->second.metadata;
    return Fail(Errc::identity_provider_down,
                "The identity provider's metadata cannot be used; the operator finds the reason in "
                "the gateway's log.");
  }

  Result<saml::Assertion> Check(const std::string& xml, const saml::Expected& expected) {
    SALLYPORT_TRY(saml::Assertion assertion, verifier.Check(xml, expected));
    const Nanos now = clock.WallNow();
    const std::lock_guard lock(mutex);
    std::erase_if(seen, [&](const auto& entry) { return entry.second <= now; });
    if (seen.size() >= kMostSeen)
      return Fail(Errc::limit_exceeded, "too many logins at once; try again in some minutes");
    if (!seen.try_emplace(Digest(assertion.issuer + "\n" + assertion.id), assertion.until).second)
      return Fail(Errc::state_invalid, "This answer has signed somebody in already.");
    return assertion;
  }

  const saml::Verifier verifier;
  const Clock& clock;
  std::mutex metadata_mutex;
  std::map<std::string, Known> known;  // by provider; with metadata_mutex
  std::mutex mutex;
  std::map<std::string, Held> held;  // by the digest of the state; with mutex
  /// Puts `key` into `set` until `until`; false: it is there.
  bool Once(std::map<std::string, Nanos>& set, std::string key, Nanos until) {
    std::erase_if(set, [now = clock.WallNow()](const auto& entry) { return entry.second <= now; });
    return set.size() < kMostSeen && set.try_emplace(std::move(key), until).second;
  }

  struct Named {
    saml::NameId name;
    std::string session_index;
    Nanos until = 0;
  };
  std::map<std::string, Nanos> seen;  // assertions until they are too old anyway; with mutex
  std::map<std::string, Nanos> messages, logouts;  // of single logout: theirs, ours; with mutex
  std::map<std::string, Named> names;              // by who signed in; with mutex
};

SamlLogins::SamlLogins(Logins& logins, saml::Verifier verifier,
                       std::shared_ptr<const saml::Signer> signer, const Clock& clock)
    : shared_(std::make_shared<Shared>(std::move(verifier), clock)),
      logins_(logins),
      signer_(std::move(signer)) {}
SamlLogins::~SamlLogins() = default;

Task<saml::Metadata> SamlLogins::Read(const LoginProvider& provider) {
  const auto found = std::make_shared<Result<saml::Metadata>>(Fail(Errc::cancelled));
  SALLYPORT_CO_CHECK(co_await logins_.Run(
      [shared = shared_, found, provider] { *found = shared->Read(provider); }));
  co_return std::move(*found);
}

Task<saml::Assertion> SamlLogins::Check(std::string xml, saml::Expected expected) {
  const auto found = std::make_shared<Result<saml::Assertion>>(Fail(Errc::cancelled));
  SALLYPORT_CO_CHECK(co_await logins_.Run(
      [shared = shared_, found, xml = std::move(xml), expected = std::move(expected)] {
        *found = shared->Check(xml, expected);
      }));
  co_return std::move(*found);
}

Task<saml::Logout> SamlLogins::CheckLogout(std::string message, saml::LogoutExpected expected) {
  const auto found = std::make_shared<Result<saml::Logout>>(Fail(Errc::cancelled));
  SALLYPORT_CO_CHECK(co_await logins_.Run(
      [shared = shared_, found, message = std::move(message), expected = std::move(expected)] {
        *found = shared->verifier.CheckLogout(message, expected);
      }));
  co_return std::move(*found);
}

Result<> SamlLogins::TakeMessage(std::string_view issuer, std::string_view id) {
  const std::lock_guard lock(shared_->mutex);
  if (shared_->Once(shared_->messages, Digest(std::string(issuer) + "\n" + std::string(id)),
                    shared_->clock.WallNow() + kMessageLasts))
    return {};
  return Fail(Errc::state_invalid, "This message has signed somebody out already.");
}

void SamlLogins::BeginLogout(std::string_view id) {
  const std::lock_guard lock(shared_->mutex);
  shared_->Once(shared_->logouts, Digest(id), shared_->clock.WallNow() + kMessageLasts);
}

bool SamlLogins::TakeLogout(std::string_view id) {
  const std::lock_guard lock(shared_->mutex);
  return shared_->logouts.erase(Digest(id)) == 1;
}

void SamlLogins::Remember(const op::Principal& who, const saml::NameId& name,
                          const std::string& session_index) {
  const Nanos now = shared_->clock.WallNow();
  const std::lock_guard lock(shared_->mutex);
  auto& names = shared_->names;
  std::erase_if(names, [&](const auto& entry) { return entry.second.until <= now; });
  if (names.size() >= kMostSeen) return;
  names[Digest(who.issuer + "\n" + who.subject + "\n" + who.sid)] = {
      .name = name, .session_index = session_index, .until = now + kNameLasts};
}

std::optional<std::pair<saml::NameId, std::string>> SamlLogins::NameOf(const op::Principal& who) {
  const std::lock_guard lock(shared_->mutex);
  const auto found = shared_->names.find(Digest(who.issuer + "\n" + who.subject + "\n" + who.sid));
  if (found == shared_->names.end()) return std::nullopt;
  return std::pair(found->second.name, found->second.session_index);
}

void SamlLogins::Hold(std::string_view state, std::string response) {
  const Nanos now = shared_->clock.WallNow();
  const std::lock_guard lock(shared_->mutex);
  auto& held = shared_->held;
  std::erase_if(held, [&](const auto& entry) { return entry.second.until <= now; });
  held[Digest(state)] = {.response = std::move(response), .until = now + kHoldFor};
  size_t bytes = 0;
  for (const auto& [name, answer] : held) bytes += answer.response.size();
  while (bytes > kMostHeld) {
    auto oldest = held.begin();
    for (auto it = held.begin(); it != held.end(); ++it) {
      if (it->second.until < oldest->second.until) oldest = it;
    }
    bytes -= oldest->second.response.size();
    held.erase(oldest);
  }
}

std::string SamlLogins::Collect(std::string_view state) {
  const std::lock_guard lock(shared_->mutex);
  const auto found = shared_->held.find(Digest(state));
  if (found == shared_->held.end()) return {};
  std::string response = std::move(found->second.response);
  const bool late = found->second.until <= shared_->clock.WallNow();
  shared_->held.erase(found);
  return late ? std::string() : response;
}

}  // namespace sallyport::api
