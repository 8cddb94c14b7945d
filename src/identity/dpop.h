#pragma once

#include <array>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>

#include "access/digest.h"
#include "base/clock.h"
#include "base/result.h"

namespace sallyport::identity {

/// What a DPoP proof has to be for (RFC 9449 section 4.3).
struct ProofFor {
  std::string_view method;  // of the request
  std::string_view url;     // scheme, host and path as the caller sees them; no query
  std::string_view token;   // that comes with it
};

/// A proof that holds: whoever sent it has the key. Not yet: that it was not sent before.
struct Proof {
  std::string key;           // RFC 7638 thumbprint
  access::TokenDigest id{};  // of key and jti
  Nanos issued_at = 0;
};

inline constexpr size_t kMaxProofBytes = 8 * 1024;
inline constexpr std::chrono::seconds kProofWindow{60};
/// For WWW-Authenticate and the resource metadata.
inline constexpr std::string_view kProofAlgorithms = "ES256 ES384 EdDSA Ed25519 RS256 PS256";

/// Judges a proof: a strict JWS of typ dpop+jwt, signed by the public key in its own `jwk` (no
/// private part, RSA 2048..8192, one algorithm per key as of issuers), `htm` and `htu` those of the
/// request, `iat` within kProofWindow of `now`, `jti` 1 to 255 bytes, `ath` the digest of the
/// token. token_proof_invalid; details hold nothing of the proof.
Result<Proof> ReadProof(std::string_view proof, const ProofFor& request, Nanos now);

/// Proofs that were used, until they are too old anyway. Bounded in all and per key, so that one
/// who has a token cannot make others' proofs fail; thread-safe.
class UsedProofs {
 public:
  static constexpr size_t kMost = 1'048'576, kMostPerKey = 16'384;

  /// token_proof_invalid: it was used before; limit_exceeded: too many in the time they count.
  Result<> Take(const Proof& proof, Nanos now);

 private:
  struct Part {
    std::mutex mutex;
    std::map<std::string, size_t> per_key;
    std::unordered_map<access::TokenDigest, std::map<std::string, size_t>::iterator,
                       access::TokenDigestHash>
        seen;
    std::multimap<Nanos, access::TokenDigest> ends;
  };
  static constexpr size_t kParts = 16;
  std::array<Part, kParts> parts_;  // by key
};

}  // namespace sallyport::identity
