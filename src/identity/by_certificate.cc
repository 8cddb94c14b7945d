// Callers whose whole credential is the certificate of the connection.
#include <algorithm>

#include "identity/verifier_impl.h"

namespace sallyport::identity {
namespace {

/// "spiffe://TRUST-DOMAIN" of an ID.
std::string TrustDomain(const std::string& id) {
  return id.substr(0, std::min(id.find('/', sizeof "spiffe://" - 1), id.size()));
}

VerifiedToken MakeVerified(const ClientCertificate& certificate, const AgentConfig& agent) {
  VerifiedToken out;
  out.issued_at = certificate.not_before;
  out.expires_at = certificate.not_after;
  out.whole_gateway = true;
  op::Principal& who = out.principal;
  const bool spiffe = agent.match.certificate.starts_with("spiffe://");
  who.issuer = spiffe ? TrustDomain(certificate.spiffe_id) : "x509";
  who.subject = spiffe ? certificate.spiffe_id : "sha256:" + certificate.sha256;
  who.name = agent.name;
  who.token_class = spiffe ? "spiffe" : "mtls";
  who.agent = agent.name;
  who.owner = agent.owner;
  who.origin = "certificate=" + certificate.sha256;
  who.expires_at = certificate.not_after;
  return out;
}

}  // namespace

Result<VerifiedPtr> TokenVerifier::ByCertificate(const ClientCertificate& certificate) {
  const Nanos now = impl_->clock.WallNow();
  // No header field holds a line end, so no token has this digest.
  const TokenDigest digest = DigestToken("certificate\n" + certificate.thumbprint);
  if (auto known = impl_->cache.Find(digest, now)) {
    SALLYPORT_CHECK(Holds(*known));
    return known;
  }
  const auto agent = std::ranges::find_if(impl_->by_certificate, [&](const AgentConfig& a) {
    const std::string& wanted = a.match.certificate;
    return wanted == "sha256:" + certificate.sha256 ||
           (!certificate.spiffe_id.empty() && wanted == certificate.spiffe_id);
  });
  if (agent == impl_->by_certificate.end())
    return Fail(Errc::token_missing, "no agent is configured for the certificate");
  if (now >= certificate.not_after)
    return Fail(Errc::token_expired, "the certificate of the connection has expired");
  auto verified = std::make_shared<const VerifiedToken>(MakeVerified(certificate, *agent));
  SALLYPORT_CHECK(Holds(*verified));
  impl_->cache.Insert(digest, verified, {.valid_from = 0, .valid_until = certificate.not_after});
  return verified;
}

}  // namespace sallyport::identity
