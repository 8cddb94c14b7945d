// Tokens that somebody else has to be asked about: opaque ones, and those of a cluster's accounts.
#include <algorithm>
#include <utility>

#include "identity/claims.h"
#include "identity/introspection.h"
#include "identity/principal.h"
#include "identity/verifier_impl.h"

namespace sallyport::identity {
namespace {

constexpr size_t kMostHeld = 65536;

bool IsSame(const VerifiedToken& a, const VerifiedToken& b) {
  const op::Principal &p = a.principal, &q = b.principal;
  return p.issuer == q.issuer && p.subject == q.subject && p.name == q.name &&
         p.groups == q.groups && p.groups_complete == q.groups_complete &&
         p.client_id == q.client_id && p.agent == q.agent && p.owner == q.owner && p.sid == q.sid &&
         p.acr == q.acr && p.amr == q.amr && p.auth_time == q.auth_time &&
         p.expires_at == q.expires_at && p.origin == q.origin && a.issued_at == b.issued_at &&
         a.scopes == b.scopes && a.whole_gateway == b.whole_gateway && a.resources == b.resources &&
         a.bound_key == b.bound_key && a.bound_certificate == b.bound_certificate;
}

}  // namespace

TokenVerifier::Impl::Provider* TokenVerifier::Impl::AskedAbout(std::string_view token) {
  if (!IsOpaque(token)) return nullptr;
  for (auto& [iss, provider] : by_issuer) {
    const IntrospectionConfig& config = provider.issuer->config().introspection;
    if (!config.client_id.empty() && token.starts_with(config.token_prefix)) return &provider;
  }
  return nullptr;
}

Result<Inquiry::Answer> TokenVerifier::Impl::AnswerOf(Provider& provider, const TokenDigest& digest,
                                                      bool* wants_refresh) {
  auto answer = provider.inquiry->Find(digest);
  if (!answer) {
    if (wants_refresh != nullptr) *wants_refresh = true;
    return Fail(provider.inquiry->WhyNot(), "identity provider \"" +
                                                provider.issuer->config().name +
                                                "\" has not answered about the token");
  }
  if (!answer->said) return std::unexpected(answer->said.error());
  return std::move(*answer);
}

VerifiedPtr TokenVerifier::Impl::Same(const TokenDigest& digest, VerifiedToken fresh) {
  const std::lock_guard lock(held_mutex);
  std::weak_ptr<const VerifiedToken>& known = held[digest];
  if (VerifiedPtr before = known.lock(); before && IsSame(*before, fresh)) return before;
  auto made = std::make_shared<const VerifiedToken>(std::move(fresh));
  known = made;
  if (held.size() >= kMostHeld)
    std::erase_if(held, [](const auto& entry) { return entry.second.expired(); });
  return made;
}

Result<VerifiedPtr> TokenVerifier::Impl::JudgeOpaque(Provider& provider, const TokenDigest& digest,
                                                     bool* wants_refresh) {
  const Nanos now = clock.WallNow();
  const ProviderConfig& config = provider.issuer->config();
  SALLYPORT_TRY(const Inquiry::Answer answer, AnswerOf(provider, digest, wants_refresh));
  const auto document =
      json::Document::Parse(*answer.said, {.max_bytes = 64 * 1024, .max_depth = 16});
  if (!document) return Fail(Errc::token_claims_invalid, "the answer is not strict JSON");
  const json::Value claims = document->root();
  SALLYPORT_TRY(CheckedClaims checked,
                CheckIntrospected(claims, config, provider.known_clients, now));
  SALLYPORT_TRY(VerifiedToken verified, MakeVerified(claims, checked, config, provider.agents));
  verified.skew = config.skew.count() * Nanos(1'000'000'000);
  VerifiedPtr shared = Same(digest, std::move(verified));
  cache.Insert(digest, shared,
               {.valid_from = checked.valid_from,
                .valid_until = std::min(checked.expires_at, now + answer.left.count())});
  return shared;
}

}  // namespace sallyport::identity
