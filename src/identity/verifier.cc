#include "identity/verifier.h"

#include <algorithm>
#include <utility>

#include "access/token.h"
#include "identity/claims.h"
#include "identity/principal.h"
#include "identity/token_review.h"
#include "identity/verifier_impl.h"

namespace sallyport::identity {

namespace {

std::string ProviderDown(const ProviderConfig& config) {
  return "the keys of identity provider \"" + config.name + "\" cannot be fetched";
}

/// Whom to ask about single tokens of the provider; null: nobody.
std::unique_ptr<Inquiry> InquiryOf(const ProviderConfig& p, const Fetch& fetch,
                                   const ResolveSecret& resolve, const Clock& clock) {
  using namespace std::chrono_literals;
  const Errc no = Errc::token_inactive;
  if (!p.introspection.client_id.empty())
    return std::make_unique<Inquiry>(
        Inquiry::Options{.provider = p.name, .good_for = 30s, .refused = no},
        MakeIntrospection(p, fetch, resolve), clock);
  if (!p.token_review.url.empty())
    return std::make_unique<Inquiry>(
        Inquiry::Options{.provider = p.name, .good_for = 10s, .refused = no},
        MakeTokenReview(p, fetch, resolve), clock);
  return nullptr;
}

/// Whether the token is bound to a key where the provider's tokens have to be.
Result<> CheckBinding(const VerifiedToken& token, const ProviderConfig& config) {
  if (config.dpop != Dpop::required || !token.bound_key.empty()) return {};
  return Fail(Errc::token_proof_invalid,
              "tokens of \"" + config.name + "\" have to be bound to a key (dpop: required)");
}

/// Whether the holder has shown what the token is bound to, and nothing that it is not.
Result<> CheckHolder(const VerifiedToken& token, const Holder& holder) {
  const auto without = [](const char* what) { return Fail(Errc::token_type_wrong, what); };
  const auto wrong = [](const char* what) { return Fail(Errc::token_proof_invalid, what); };
  if (!token.bound_key.empty() && holder.key.empty())
    return without("it is bound to a key of the client (cnf) and was presented without proof");
  if (token.bound_key != holder.key)
    return wrong(token.bound_key.empty() ? "a DPoP proof came with a token that is bound to no key"
                                         : "the DPoP proof is by another key than the token's");
  if (!token.bound_certificate.empty() && holder.certificate.empty())
    return without(
        "it is bound to a certificate of the client (cnf), and the connection shows none");
  if (!token.bound_certificate.empty() && token.bound_certificate != holder.certificate)
    return wrong("the certificate of the connection is not the one that the token is bound to");
  return {};
}

}  // namespace

TokenVerifier::TokenVerifier(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
TokenVerifier::~TokenVerifier() { Stop(); }

Result<std::unique_ptr<TokenVerifier>> TokenVerifier::Create(Config config, Fetch fetch,
                                                             const Clock& clock, Options options) {
  SALLYPORT_CHECK(CheckConfig(config));
  auto impl = std::make_unique<Impl>(clock, options);
  for (const AgentConfig& a : config.agents) {
    if (!a.match.certificate.empty()) impl->by_certificate.push_back(a);
  }
  for (const ProviderConfig& p : config.providers) {
    Impl::Provider provider;
    provider.known_clients = p.clients;
    if (!p.client_id.empty()) provider.known_clients.push_back(p.client_id);
    for (const AgentConfig& a : config.agents) {
      if (a.match.provider != p.name) continue;
      provider.agents.push_back(a);
      if (!a.match.client_id.empty()) provider.known_clients.push_back(a.match.client_id);
    }
    SALLYPORT_TRY(provider.issuer, Issuer::Create(p, fetch, clock, options.observe));
    provider.inquiry = InquiryOf(p, fetch, options.resolve, clock);
    impl->by_issuer.emplace(p.issuer, std::move(provider));
  }
  return std::unique_ptr<TokenVerifier>(new TokenVerifier(std::move(impl)));
}

void TokenVerifier::Start() {
  for (auto& [iss, provider] : impl_->by_issuer) {
    provider.issuer->Start();
    if (provider.inquiry) provider.inquiry->Start();
  }
}

void TokenVerifier::Stop() {
  for (auto& [iss, provider] : impl_->by_issuer) {
    provider.issuer->RequestStop();
    if (provider.inquiry) provider.inquiry->RequestStop();
  }
  for (auto& [iss, provider] : impl_->by_issuer) {
    provider.issuer->Stop();
    if (provider.inquiry) provider.inquiry->Stop();
  }
}

Result<VerifiedPtr> TokenVerifier::Verify(std::string_view token, bool* wants_refresh,
                                          std::string_view resource, const Holder& holder) {
  auto verdict = Judge(token, wants_refresh);
  if (verdict) SALLYPORT_CHECK(CheckHolder(**verdict, holder));
  if (verdict && !(*verdict)->Covers(resource)) {
    return Fail(Errc::token_audience_wrong, "the token is for another resource of this gateway");
  }
  return verdict;
}

VerifiedPtr TokenVerifier::Known(std::string_view token, std::string_view resource,
                                 const Holder& holder) {
  VerifiedPtr known = Seen(token);
  return known && known->Covers(resource) && CheckHolder(*known, holder) ? known : nullptr;
}

VerifiedPtr TokenVerifier::Seen(std::string_view token) {
  if (token.size() > kMaxTokenBytes) return nullptr;
  if (access::IsSessionToken(token)) {
    auto verdict = JudgeSession(token);
    return verdict ? *verdict : nullptr;
  }
  auto known = impl_->cache.Find(DigestToken(token), impl_->clock.WallNow());
  return known && Holds(*known) ? known : nullptr;
}

Result<> TokenVerifier::Holds(const VerifiedToken& token) const {
  if (impl_->options.sessions == nullptr) return {};
  if (token.live) return access::Work::Allowed(token.live);
  if (!impl_->options.sessions->Revoked(token.principal, token.issued_at, token.skew)) return {};
  return Fail(Errc::session_ended,
              "the person's credentials were revoked after this one was issued");
}

Result<VerifiedPtr> TokenVerifier::JudgeSession(std::string_view token) {
  access::Sessions* sessions = impl_->options.sessions;
  if (sessions == nullptr)
    return Fail(Errc::token_issuer_unknown, "tokens of sessions are not accepted here");
  const TokenDigest digest = DigestToken(token);
  auto checked = sessions->Check(digest);
  if (!checked) {
    if (checked.error().code == Errc::session_unknown) {
      if (!access::WellFormed(token))
        return Fail(Errc::token_malformed, "the token of a session is not whole");
      // Forgotten, or renewed twice since: its client has to renew it or sign in, as with any that
      // is over.
      return Fail(Errc::session_ended, "there is no session of this token");
    }
    return std::unexpected(std::move(checked.error()));
  }
  const access::LivePtr live = std::move(*checked);
  if (live->kind == "web")
    return Fail(Errc::token_type_wrong, "a browser's session is good in that browser only");
  // The same object for the same token, as long as the session has not been unlocked anew.
  auto known = impl_->cache.Find(digest, impl_->clock.WallNow());
  if (known && known->live == live) return known;
  auto made = std::make_shared<VerifiedToken>();
  made->principal = live->who;
  made->issued_at = live->authenticated_at;
  made->expires_at = live->expires_at;
  made->whole_gateway = live->resource.empty();
  if (live->resource.ends_with('/')) made->below = live->resource;
  if (!made->whole_gateway && made->below.empty()) made->resources = {live->resource};
  made->live = live;
  impl_->cache.Insert(digest, made, {.valid_until = live->expires_at});
  return made;
}

/// What ParseJws and the issuer's keys say of a token, before its claims.
struct TokenVerifier::Impl::Signed {
  Jws jws;
  Provider* provider = nullptr;
  Issuer::Found found;
};

Result<TokenVerifier::Impl::Signed> TokenVerifier::Impl::ReadSigned(std::string_view token) {
  if (token.size() > kMaxTokenBytes)
    return Fail(Errc::token_malformed, "the token is longer than 16 KiB");
  Signed read;
  SALLYPORT_TRY(read.jws, ParseJws(token));
  read.provider = ProviderOf(read.jws);
  if (read.provider == nullptr)
    return Fail(Errc::token_issuer_unknown, "iss is not a configured identity provider");
  read.found = read.provider->issuer->Find(read.jws.kid);
  return read;
}

Result<VerifiedPtr> TokenVerifier::JudgeLogin(std::string_view token, const IdTokenCheck& check,
                                              bool* wants_refresh) {
  const Nanos now = impl_->clock.WallNow();
  SALLYPORT_TRY(auto read, impl_->ReadSigned(token));
  const ProviderConfig& config = read.provider->issuer->config();
  const auto claims = CheckIdToken(read.jws, config, check, now);
  if (read.found.key == nullptr) {
    if (wants_refresh != nullptr) *wants_refresh = read.found.may_refresh && claims.has_value();
    return Fail(read.found.why, "the signature of the ID token cannot be checked");
  }
  SALLYPORT_CHECK(VerifySignature(read.jws, *read.found.key));
  if (!claims) return std::unexpected(claims.error());
  SALLYPORT_TRY(VerifiedToken verified, MakeVerified(read.jws.claims.root(), *claims, config, {}));
  return std::make_shared<const VerifiedToken>(std::move(verified));
}

Result<VerifiedPtr> TokenVerifier::JudgeIdJag(std::string_view token, const IdJagCheck& check,
                                              bool* wants_refresh) {
  const Nanos now = impl_->clock.WallNow();
  SALLYPORT_TRY(auto read, impl_->ReadSigned(token));
  const ProviderConfig& config = read.provider->issuer->config();
  const auto claims = CheckIdJag(read.jws, config, check, now);
  if (read.found.key == nullptr) {
    if (wants_refresh != nullptr) *wants_refresh = read.found.may_refresh && claims.has_value();
    return Fail(read.found.why, "the signature of the ID-JAG cannot be checked");
  }
  SALLYPORT_CHECK(VerifySignature(read.jws, *read.found.key));
  if (!claims) return std::unexpected(claims.error());
  SALLYPORT_TRY(VerifiedToken verified, MakeVerified(read.jws.claims.root(), *claims, config, {}));
  // One without groups says nothing of groups; it does not say that there are none.
  if (verified.principal.groups.empty()) verified.principal.groups_complete = false;
  if (impl_->options.sessions != nullptr &&
      impl_->options.sessions->Revoked(verified.principal, verified.issued_at, verified.skew))
    return Fail(Errc::session_ended,
                "the person's credentials were revoked after this one was issued");
  return std::make_shared<const VerifiedToken>(std::move(verified));
}

Result<LogoutToken> TokenVerifier::JudgeLogout(std::string_view token, bool* wants_refresh) {
  const Nanos now = impl_->clock.WallNow();
  SALLYPORT_TRY(auto read, impl_->ReadSigned(token));
  const auto logout = CheckLogoutToken(read.jws, read.provider->issuer->config(), now);
  if (read.found.key == nullptr) {
    if (wants_refresh != nullptr) *wants_refresh = read.found.may_refresh && logout.has_value();
    return Fail(read.found.why, "the signature of the logout token cannot be checked");
  }
  SALLYPORT_CHECK(VerifySignature(read.jws, *read.found.key));
  if (!logout) return std::unexpected(logout.error());
  const std::lock_guard lock(impl_->logouts_mutex);
  std::erase_if(impl_->logouts, [&](const auto& seen) { return seen.second <= now; });
  if (!impl_->logouts.emplace(logout->issuer + '\n' + logout->token_id, logout->expires_at).second)
    return Fail(Errc::token_claims_invalid, "this logout token was used before");
  return *logout;
}

Result<RevocationToken> TokenVerifier::JudgeRevocation(std::string_view token,
                                                       const std::vector<std::string>& audiences,
                                                       bool* wants_refresh) {
  const Nanos now = impl_->clock.WallNow();
  SALLYPORT_TRY(auto read, impl_->ReadSigned(token));
  const auto request =
      CheckRevocationToken(read.jws, read.provider->issuer->config(), audiences, now);
  if (read.found.key == nullptr) {
    if (wants_refresh != nullptr) *wants_refresh = read.found.may_refresh && request.has_value();
    return Fail(read.found.why, "the signature of the token cannot be checked");
  }
  SALLYPORT_CHECK(VerifySignature(read.jws, *read.found.key));
  return request;
}

Result<VerifiedPtr> TokenVerifier::Judge(std::string_view token, bool* wants_refresh) {
  if (wants_refresh != nullptr) *wants_refresh = false;
  if (access::IsSessionToken(token)) return JudgeSession(token);
  if (token.size() > kMaxTokenBytes) {
    return Fail(Errc::token_malformed, "the token is longer than 16 KiB");
  }
  const Nanos now = impl_->clock.WallNow();
  const TokenDigest digest = DigestToken(token);
  if (auto known = impl_->cache.Find(digest, now)) {
    SALLYPORT_CHECK(Holds(*known));
    return known;
  }

  if (Impl::Provider* asked = impl_->AskedAbout(token)) {
    SALLYPORT_TRY(VerifiedPtr verified, impl_->JudgeOpaque(*asked, digest, wants_refresh));
    SALLYPORT_CHECK(CheckBinding(*verified, asked->issuer->config()));
    SALLYPORT_CHECK(Holds(*verified));
    if (impl_->options.sessions != nullptr)
      impl_->options.sessions->Saw(verified->principal, verified->issued_at);
    return verified;
  }
  SALLYPORT_TRY(Jws jws, ParseJws(token));
  Impl::Provider* provider = impl_->ProviderOf(jws);
  if (provider == nullptr) {
    return Fail(Errc::token_issuer_unknown, "iss is not a configured identity provider");
  }
  const ProviderConfig& config = provider->issuer->config();
  if (std::ranges::find(impl_->options.accept, config.token_class) == impl_->options.accept.end()) {
    return Fail(Errc::token_type_wrong, "identity provider \"" + config.name + "\" issues " +
                                            std::string(TokenClassName(config.token_class)) +
                                            " tokens, which are not accepted here");
  }
  auto found = provider->issuer->Find(jws.kid);
  if (found.key == nullptr) {
    // Claims that could never pass are not worth a request to the issuer.
    if (wants_refresh != nullptr && found.may_refresh) {
      *wants_refresh = CheckClaims(jws, config, provider->known_clients, now).has_value();
    }
    bool down = found.why == Errc::identity_provider_down;
    return Fail(found.why,
                down ? ProviderDown(config) : "no key of the issuer has the token's kid");
  }
  SALLYPORT_CHECK(VerifySignature(jws, *found.key));
  SALLYPORT_TRY(CheckedClaims claims, CheckClaims(jws, config, provider->known_clients, now));
  SALLYPORT_TRY(VerifiedToken verified,
                MakeVerified(jws.claims.root(), claims, config, provider->agents));
  SALLYPORT_CHECK(CheckBinding(verified, config));
  verified.skew = config.skew.count() * Nanos(1'000'000'000);
  SALLYPORT_CHECK(Holds(verified));
  VerifiedPtr shared;
  if (provider->inquiry && config.token_class == TokenClass::k8s_sa) {
    SALLYPORT_TRY(const auto answer, impl_->AnswerOf(*provider, digest, wants_refresh));
    if (*answer.said != claims.subject)
      return Fail(Errc::token_claims_invalid, "the cluster says that the token is another one's");
    claims.valid_until = std::min(claims.valid_until, now + answer.left.count());
    shared = impl_->Same(digest, std::move(verified));
  } else {
    shared = std::make_shared<const VerifiedToken>(std::move(verified));
  }
  if (impl_->options.sessions != nullptr)
    impl_->options.sessions->Saw(shared->principal, shared->issued_at);
  impl_->cache.Insert(digest, shared,
                      {.issuer = provider->issuer.get(),
                       .kid = jws.kid,
                       .thumbprint = found.key->thumbprint,
                       .generation = found.generation,
                       .valid_from = claims.valid_from,
                       .valid_until = claims.valid_until});
  return shared;
}

void TokenVerifier::RefreshThen(std::string_view token, std::function<void()> done) {
  if (Impl::Provider* asked = impl_->AskedAbout(token)) {
    asked->inquiry->AskThen(std::string(token), std::move(done));
    return;
  }
  auto jws = ParseJws(token);
  Impl::Provider* provider = jws ? impl_->ProviderOf(*jws) : nullptr;
  if (provider == nullptr) {
    done();
    return;
  }
  // Keys first: nobody is asked about a token that nobody has signed.
  const bool review =
      provider->inquiry && provider->issuer->config().token_class == TokenClass::k8s_sa;
  const auto found = review ? provider->issuer->Find(jws->kid) : Issuer::Found{};
  if (found.key != nullptr && VerifySignature(*jws, *found.key)) {
    provider->inquiry->AskThen(std::string(token), std::move(done));
    return;
  }
  provider->issuer->RefreshThen(jws->kid, std::move(done));
}

void TokenVerifier::FlushKeys() {
  for (auto& [iss, provider] : impl_->by_issuer) {
    provider.issuer->Flush();
    if (provider.inquiry) provider.inquiry->Forget();
  }
  impl_->cache.Clear();
}

bool TokenVerifier::FetchDue() {
  bool any = false;
  for (auto& [iss, provider] : impl_->by_issuer) {
    any |= provider.issuer->RunDue();
    any |= provider.inquiry && provider.inquiry->RunDue();
  }
  return any;
}

size_t TokenVerifier::cached() const { return impl_->cache.size(); }

std::vector<IssuerStatus> TokenVerifier::Status() const {
  std::vector<IssuerStatus> out;
  for (const auto& [iss, provider] : impl_->by_issuer) out.push_back(provider.issuer->Status());
  return out;
}

}  // namespace sallyport::identity
