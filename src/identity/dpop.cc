#include "identity/dpop.h"

#include <algorithm>
#include <cctype>
#include <utility>

#include "base/bytes.h"
#include "identity/jws.h"

namespace sallyport::identity {
namespace {

constexpr Nanos kSecond = 1'000'000'000;
constexpr Nanos kWindow = kProofWindow.count() * kSecond;

std::unexpected<Error> Bad(std::string what) {
  return Fail(Errc::token_proof_invalid, "the DPoP proof " + std::move(what));
}

/// A URL in the form that two spellings of one place share (RFC 3986 section 6.2.2 and 6.2.3, as
/// far as hosts and ports go); what is behind '?' or '#' does not count.
std::string Place(std::string_view url) {
  url = url.substr(0, url.find_first_of("?#"));
  const size_t scheme = url.find("://");
  if (scheme == url.npos) return {};
  const size_t path = std::min(url.find('/', scheme + 3), url.size());
  std::string origin(url.substr(0, path));
  std::ranges::transform(origin, origin.begin(), [](uint8_t c) { return char(std::tolower(c)); });
  for (const auto& [name, port] : {std::pair("https://", ":443"), std::pair("http://", ":80")}) {
    if (origin.starts_with(name) && origin.ends_with(port)) origin.resize(origin.rfind(':'));
  }
  return origin + (path == url.size() ? "/" : std::string(url.substr(path)));
}

bool IsShort(const std::optional<std::string_view>& text) {
  return text && !text->empty() && text->size() <= 255;
}

}  // namespace

Result<Proof> ReadProof(std::string_view proof, const ProofFor& request, Nanos now) {
  if (proof.size() > kMaxProofBytes) return Bad("is longer than 8 KiB");
  auto jws = ParseJws(proof, HeaderKey::required);
  if (!jws) return Bad("is no strict JWS with its key: " + jws.error().detail);
  if (jws->typ != "dpop+jwt") return Bad("has another typ than dpop+jwt");
  const json::Value jwk = jws->header.root()["jwk"];
  for (const char* part : {"d", "p", "q", "dp", "dq", "qi", "k"}) {
    if (jwk[part]) return Bad("shows a private key");
  }
  ImportRules rules;
  if (jws->alg == Alg::ps256) rules.rsa_default = Alg::ps256;
  const auto key = ImportJwk(jwk, rules);
  if (!key) return Bad("has a key that is not usable: " + key.error().detail);

  const json::Value claims = jws->claims.root();
  if (claims["htm"].string() != request.method) return Bad("is for another method (htm)");
  const auto htu = claims["htu"].string();
  if (!htu || htu->size() > 2048 || Place(*htu) != Place(request.url))
    return Bad("is for another address (htu)");
  const auto iat = claims["iat"].number();
  if (!iat || !(*iat > 0 && *iat < 9e9)) return Bad("has no iat");
  const Nanos issued_at = Nanos(*iat) * kSecond;
  if (issued_at < now - kWindow || issued_at > now + kWindow)
    return Bad("was not made just now (iat)");
  const auto jti = claims["jti"].string();
  if (!IsShort(jti)) return Bad("has no jti");
  const auto ath = claims["ath"].string();
  if (!ath || *ath != Base64UrlEncode(access::DigestToken(request.token)))
    return Bad("is not for this token (ath)");
  if (const auto holds = VerifySignature(*jws, *key); !holds)
    return Bad("is not signed by its key");
  return Proof{.key = key->thumbprint,
               .id = access::DigestToken(key->thumbprint + '\n' + std::string(*jti)),
               .issued_at = issued_at};
}

Result<> UsedProofs::Take(const Proof& proof, Nanos now) {
  Part& part = parts_[std::hash<std::string>{}(proof.key) % kParts];
  const std::lock_guard lock(part.mutex);
  while (!part.ends.empty() && part.ends.begin()->first < now) {
    const auto seen = part.seen.find(part.ends.begin()->second);
    const auto key = seen->second;
    if (--key->second == 0) part.per_key.erase(key);
    part.seen.erase(seen);
    part.ends.erase(part.ends.begin());
  }
  if (part.seen.contains(proof.id)) return Bad("was used before (jti)");
  const auto key = part.per_key.try_emplace(proof.key, 0).first;
  if (part.seen.size() >= kMost / kParts || key->second >= kMostPerKey) {
    if (key->second == 0) part.per_key.erase(key);
    return Fail(Errc::limit_exceeded, "too many DPoP proofs in one minute");
  }
  ++key->second;
  part.seen.emplace(proof.id, key);
  part.ends.emplace(proof.issued_at + kWindow, proof.id);
  return {};
}

}  // namespace sallyport::identity
